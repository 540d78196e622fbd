import type { Deployment } from "../domain/index.ts";
import { renderCreateIndex, renderIndexComment, SqlState } from "../postgres/index.ts";
import { briefly } from "./briefly.ts";
import { askConsent, leftoverPatienceOf, lockBudgetOf, type RolloutContext, YIELD_MS } from "./context.ts";
import { ownershipComment, readableName } from "./names.ts";
import { completeParts } from "./partitioned.ts";
import { findTwin, isPartitioned, readLeaves, readWhole } from "./partitions.ts";
import { describeSqlState } from "./reasons.ts";
import { nameTaken } from "./statements.ts";
import { takeBack } from "./take-back.ts";
import { advance, type Step } from "./transitions.ts";
import { advised } from "./wanted.ts";

export type SettleOutcome =
  | { readonly kind: "settled"; readonly deployment: Deployment }
  /** The next start goes on with it. */
  | {
      readonly kind: "postponed";
      readonly deployment: Deployment;
      readonly reason: string;
      readonly retryAt: Date | null;
    }
  | { readonly kind: "superseded" };

/** Writers that had to queue behind us get so long before we try again. */
const ATTACH_PAUSE_MS = 1_000;

/** Keeps a deployment's index for good; on a partitioned table that is the moment when its parts are attached. */
export const settleIndex = async (
  context: RolloutContext,
  deployment: Deployment,
  step: Omit<Step, "actor">,
): Promise<SettleOutcome> => {
  const whole = await isPartitioned(context.build, deployment.tableOid);
  const next = await advance(context, deployment, whole ? "promote" : "settle", { ...step, actor: context.actor });
  if (next === null) return { kind: "superseded" };
  return whole ? promote(context, next) : { kind: "settled", deployment: next };
};

/**
 * Makes the index on the partitioned table itself. PostgreSQL finds that each partition has one like it, and attaches those, all or none in one transaction;
 * from then on it can be taken back only with locks on everything. Idempotent.
 *
 * Locks: SHARE on the table and each partition, for catalogue entries (65 ms for 500 partitions): reads go on, writes wait. Given up after half the lock
 * budget, waiting included, and tried again. (`attach partition` one by one takes ACCESS EXCLUSIVE on each partition's index: reads would wait, too.)
 */
export const promote = async (context: RolloutContext, promoting: Deployment): Promise<SettleOutcome> => {
  const { build, store, actor, clock, signal } = context;
  let deployment = promoting;
  const postponed = async (reason: string, retryAt: Date | null): Promise<SettleOutcome> => {
    const next = await advance(context, deployment, "postpone", { actor, detail: { reason } });
    return { kind: "postponed", deployment: next ?? deployment, reason, retryAt };
  };
  const later = (): Date => new Date(clock.now().getTime() + YIELD_MS);
  let reason = "interrupted";
  const started = clock.monotonicMs();
  for (;;) {
    if (signal?.aborted === true) break;
    const whole = await readWhole(build, deployment);
    if (whole?.valid === true) {
      for (const part of await store.deployments.parts(deployment.id)) {
        if (part.state === "verifying") await advance(context, part, "settle", { actor });
      }
      const settled = await advance(context, deployment, "settle", {
        actor,
        detail: { indexName: whole.name, indexOid: whole.oid },
        patch: { indexName: whole.name, indexOid: whole.oid, definition: whole.definition },
      });
      return settled === null ? { kind: "superseded" } : { kind: "settled", deployment: settled };
    }
    const completed = await completeParts({ ...context, deployment });
    if (completed.kind === "short") {
      const { leaf, outcome } = completed;
      const why = "reason" in outcome ? outcome.reason : "interrupted";
      return postponed(`partition ${leaf.name}: ${why}`, "retryAt" in outcome ? outcome.retryAt : null);
    }
    const ours = new Set(completed.parts.map(({ id }) => id));
    for (const stray of await store.deployments.parts(deployment.id)) {
      if (stray.state !== "verifying" || ours.has(stray.id)) continue;
      await takeBack({ ...context, deployment: stray, reason: "its table is no partition any more" });
    }
    const oids = new Set(completed.parts.flatMap(({ indexOid }) => (indexOid === null ? [] : [indexOid])));
    const twin = await findTwin(build, advised(deployment), await readLeaves(build, deployment.tableOid), oids);
    if (twin !== null) {
      return postponed(`partition ${twin.table} has the same index as ${twin.name}, which is not ours to attach`, null);
    }
    const answer = await askConsent(context, "create index", deployment);
    if (answer.kind === "refused") return postponed(answer.reason, answer.retryAt);
    const name = await freeName(context, deployment);
    const recorded = await advance(context, deployment, "promote", {
      actor,
      detail: { indexName: name, partitions: completed.parts.length },
      patch: { indexName: name },
    });
    if (recorded === null) return { kind: "superseded" };
    deployment = recorded;
    const { schema } = deployment.table;
    const brief = await briefly(
      build,
      [
        renderCreateIndex(advised(deployment), name, { concurrently: false }),
        renderIndexComment({ schema, name }, ownershipComment(deployment.id)),
      ],
      lockBudgetOf(context) / 2,
      async () => (await readWhole(build, deployment))?.valid === true,
    );
    if (brief.kind === "done") continue;
    reason =
      brief.sqlState === SqlState.lockNotAvailable || brief.sqlState === SqlState.queryCanceled
        ? "writes of the table were in the way"
        : describeSqlState(brief.sqlState);
    if (clock.monotonicMs() - started + ATTACH_PAUSE_MS > leftoverPatienceOf(context)) break;
    await clock.sleep(ATTACH_PAUSE_MS, signal).catch(() => undefined);
  }
  return postponed(`its parts cannot be attached yet: ${reason}`, later());
};

const freeName = async ({ build }: RolloutContext, deployment: Deployment): Promise<string> => {
  for (let attempt = 0; ; attempt += 1) {
    const name = readableName(advised(deployment), attempt);
    if (!(await nameTaken(build, { schema: deployment.table.schema, name }))) return name;
  }
};
