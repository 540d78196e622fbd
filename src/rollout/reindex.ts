import type { Deployment } from "../domain/index.ts";
import { IndexPilotError } from "../errors.ts";
import { renderReindex, type Session } from "../postgres/index.ts";
import { type BuildOptions, type BuildOutcome, giveUp, refused } from "./build.ts";
import {
  askConsent,
  type Consent,
  haltsOf,
  leftoverPatienceOf,
  lockBudgetOf,
  type RolloutContext,
  YIELD_MS,
} from "./context.ts";
import { describeSqlState } from "./reasons.ts";
import { type Removal, removeIndex } from "./remove.ts";
import {
  type CatalogIndex,
  readBackend,
  readIndex,
  readIndexByOid,
  readNamesake,
  readTableName,
  type Watched,
} from "./statements.ts";
import { advance } from "./transitions.ts";
import { runWatched } from "./watched.ts";

/**
 * Builds an index anew, as it is, with `reindex index concurrently`, watched as a build is. Anybody's: what stands afterwards is the same index with another
 * OID and another file. An invalid copy that a cancelled one leaves (`…_ccnew`, `…_ccold`) is dropped where its OID proves it ours: that of the old index, or
 * one that our backend was seen to hold.
 *
 * Locks: SHARE UPDATE EXCLUSIVE on the table; reads and writes go on. Waits for transactions older than itself. Needs the table's owner role.
 * @throws IndexPilotError `connection_lost`: it may go on in the server; `reconcile` takes it up at the next start
 */
export const reindex = async (options: BuildOptions): Promise<BuildOutcome> => {
  const { build, clock, actor, signal } = options;
  let { deployment } = options;
  const { replaces } = deployment;
  if (deployment.kind !== "reindex" || replaces === null) throw new Error("this deployment does not rebuild an index");
  if (deployment.state !== "approved") return refused("state_changed", `the deployment is ${deployment.state}`);
  if (signal?.aborted === true) return { kind: "interrupted", deployment, leftover: false };
  const { schema, name } = deployment.table;
  const table = await readTableName(build, deployment.tableOid);
  if (table?.schema !== schema || table.name !== name) {
    return refused("table_changed", "the table was dropped, renamed or made anew since this was decided");
  }
  const current = await readIndexByOid(build, deployment, replaces.oid);
  if (current?.name !== replaces.name || !current.usable || current.definition !== replaces.definition) {
    return refused("index_changed", `${replaces.name} is not what it was when this was decided`);
  }
  const answer = await askConsent(options, "reindex", deployment);
  if (answer.kind === "refused") return answer;
  const begun = await advance(options, deployment, "begin", {
    actor,
    // Of an earlier try at it, nothing is left.
    patch: { backend: await readBackend(build), indexOid: null },
    detail: { indexOid: replaces.oid, tableOid: deployment.tableOid, sizeBytes: replaces.sizeBytes },
  });
  if (begun === null) return refused("state_changed", "another process took this deployment up");
  deployment = begun;

  const started = clock.monotonicMs();
  const elapsedMs = (): number => clock.monotonicMs() - started;
  const ended = await runWatched({
    sql: renderReindex(current),
    build,
    watch: options.watch,
    clock,
    lockBudgetMs: lockBudgetOf(options),
    signal,
    halts: haltsOf(options, "reindex"),
    onLook: async (watched) => {
      if (watched.progress !== null) options.onProgress?.({ ...watched.progress, elapsedMs: elapsedMs() });
      deployment = await noticeCopy(options, deployment, watched);
    },
  });
  if (ended.kind === "failed" && ended.sqlState === null) throw ended.error;
  const found = await inspect(build, deployment);
  if (found.rebuilt === null) {
    const removal = await removeCopy(options, answer.consent, deployment, found);
    const suspects = removal.kind === "gone" ? await describeSuspects(build, deployment) : "";
    const reason = ended.kind === "failed" ? `${describeSqlState(ended.sqlState)}${suspects}` : undefined;
    return giveUp(options, deployment, ended, removal.kind, reason);
  }
  const removal = await removeCopy(options, answer.consent, deployment, found);
  if (removal.kind === "gone") {
    return { kind: "built", deployment: await finishReindex(options, deployment, found.rebuilt, elapsedMs()) };
  }
  const reason = "the index is rebuilt, and its old file waits to be dropped: others use the table";
  const postponed = await advance(options, deployment, "postpone", { actor, detail: { reason } });
  const retryAt = new Date(clock.now().getTime() + YIELD_MS);
  return { kind: "deferred", deployment: postponed ?? deployment, reason, retryAt, leftover: true };
};

/** Records the copy that the backend builds as soon as it is seen: later it is the proof that an invalid leftover is ours. */
export const noticeCopy = async (
  context: RolloutContext,
  deployment: Deployment,
  { heldIndexes }: Watched,
): Promise<Deployment> => {
  if (deployment.kind !== "reindex" || deployment.indexOid !== null) return deployment;
  const copy = heldIndexes.find((oid) => oid !== deployment.replaces?.oid);
  if (copy === undefined) return deployment;
  try {
    const step = { actor: context.actor, detail: { copyOid: copy }, patch: { indexOid: copy } };
    return (await advance(context, deployment, "notice", step)) ?? deployment;
  } catch (error) {
    // Without the store the proof is missing, which the next look may make up for; those who wait are to be looked after all the same.
    if (error instanceof IndexPilotError) return deployment;
    throw error;
  }
};

/** What the catalogue shows of a reindex. */
export interface Inspection {
  /** The new index, under its name; null: the old one stands. */
  readonly rebuilt: CatalogIndex | null;
  /** The invalid one of the two that is still there, proved ours. */
  readonly leftover: CatalogIndex | null;
}

export const inspect = async (session: Session, deployment: Deployment): Promise<Inspection> => {
  const { replaces, indexOid } = deployment;
  if (replaces === null) throw new Error("a reindex says of what");
  const invalid = (index: CatalogIndex | null): CatalogIndex | null =>
    index !== null && !index.usable && /_cc(?:new|old)\d*$/.test(index.name) ? index : null;
  const now = await readNamesake(session, deployment);
  if (
    now !== null &&
    now.usable &&
    now.oid !== replaces.oid &&
    now.definition === replaces.definition &&
    (indexOid === null || indexOid === now.oid)
  ) {
    return { rebuilt: now, leftover: invalid(await readIndexByOid(session, deployment, replaces.oid)) };
  }
  return { rebuilt: null, leftover: indexOid === null ? null : invalid(await readIndex(session, deployment)) };
};

/** Drops the copy that a reindex has left. */
export const removeCopy = (
  context: RolloutContext,
  consent: Consent,
  deployment: Deployment,
  { leftover }: Inspection,
): Promise<Removal> =>
  leftover === null
    ? Promise.resolve({ kind: "gone" })
    : removeIndex(context, consent, deployment, {
        oid: leftover.oid,
        prove: (found) => found.oid === leftover.oid && !found.usable && found.name === leftover.name,
        patienceMs: leftoverPatienceOf(context),
      });

/** Names what looks like a copy and cannot be proved ours, for people; empty where there is none. */
const describeSuspects = async (session: Session, { tableOid }: Deployment): Promise<string> => {
  const rows = await session.query<{ name: string }>(
    `select c.relname as name from pg_catalog.pg_index i join pg_catalog.pg_class c on c.oid = i.indexrelid
      where i.indrelid = $1 and not i.indisvalid and c.relname ~ '_cc(new|old)[0-9]*$' order by 1`,
    [tableOid],
  );
  const names = rows.map(({ name }) => name).join(", ");
  return names === "" ? "" : `; ${names}, invalid, cannot be proved ours: drop it by hand`;
};

/** Records the new OID, also for the deployment of ours that built the index. Idempotent. */
export const finishReindex = async (
  context: RolloutContext,
  deployment: Deployment,
  rebuilt: CatalogIndex,
  buildMs: number | null,
): Promise<Deployment> => {
  const { actor, store } = context;
  const { replaces } = deployment;
  const detail = { indexOid: rebuilt.oid, oldOid: replaces?.oid ?? null, oldBytes: replaces?.sizeBytes ?? null };
  const patch = { indexOid: rebuilt.oid, sizeBytes: rebuilt.sizeBytes };
  const owner = replaces?.deploymentId ?? null;
  const before = owner === null ? null : await store.deployments.get(owner);
  if ((before?.state === "verifying" || before?.state === "settled") && before.indexOid === replaces?.oid) {
    await advance(context, before, "reindex", { actor, detail: { ...detail, by: deployment.id }, patch });
  }
  const done = await advance(context, deployment, "reindex", {
    actor,
    detail: { ...detail, sizeBytes: rebuilt.sizeBytes, buildMs },
    patch: { ...patch, backend: null, ...(buildMs === null ? {} : { buildMs }) },
  });
  return done ?? (await store.deployments.get(deployment.id)) ?? deployment;
};
