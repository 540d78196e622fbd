import { randomUUID } from "node:crypto";
import type { Deployment } from "../domain/index.ts";
import { askConsent, type RolloutContext } from "./context.ts";
import type { Session } from "../postgres/index.ts";
import type { BuildOptions, BuildOutcome } from "./build.ts";
import { createIndex } from "./create.ts";
import { takeBack } from "./take-back.ts";
import { findTwin, isPartitioned, type Leaf, readLeaves, readUsable } from "./partitions.ts";
import { proposeIndex } from "./propose.ts";
import { readTableName } from "./statements.ts";
import { advance } from "./transitions.ts";
import { advised } from "./wanted.ts";

/** A part that gave way is tried again so often, and waited for so long each time, before the rest is left to the next start. */
const PART_TRIES = 5;
const PART_PATIENCE_MS = 120_000;

/** Whether an index is built partition by partition. What comes from the history of a partitioned table is its parent alone. */
export const isInParts = async (session: Session, { kind, intended, tableOid }: Deployment): Promise<boolean> =>
  kind === "create" && intended !== null && (await isPartitioned(session, tableOid));

const refused = (code: string, reason: string): BuildOutcome => ({ kind: "refused", code, reason, retryAt: null });

/**
 * On a partitioned table there is no concurrent build. Each partition gets its own, a deployment like any other; the planner uses them as they are. The index
 * on the table itself, which attaches them, comes with the verdict ({@link promote}): an attached index cannot be dropped again without locking the table
 * and every partition, and from then on PostgreSQL makes one for each new partition, too.
 */
export const beginParts = async (options: BuildOptions): Promise<BuildOutcome> => {
  const { build, actor, signal, deployment } = options;
  if (deployment.state !== "approved") return refused("state_changed", `the deployment is ${deployment.state}`);
  if (signal?.aborted === true) return { kind: "interrupted", deployment, leftover: false };
  const table = await readTableName(build, deployment.tableOid);
  if (table?.schema !== deployment.table.schema || table.name !== deployment.table.name) {
    return refused("table_changed", "the table was dropped, renamed or made anew since this was decided");
  }
  const leaves = await readLeaves(build, deployment.tableOid);
  const twin = await findTwin(build, advised(deployment), leaves, new Set());
  if (twin !== null) {
    return refused(
      "partition_indexed",
      `partition ${twin.table} has this index already as ${twin.name}, which is not ours to attach: \`create index\` on only the table and attach it, or drop it`,
    );
  }
  const answer = await askConsent(options, "create index", deployment);
  if (answer.kind === "refused") return answer;
  const begun = await advance(options, deployment, "begin", {
    actor,
    detail: { partitions: leaves.length, tableOid: deployment.tableOid },
  });
  if (begun === null) return refused("state_changed", "another process took this deployment up");
  return continueParts({ ...options, deployment: begun });
};

/** Builds what is missing of a deployment on a partitioned table that was begun; idempotent. */
export const continueParts = async (options: BuildOptions): Promise<BuildOutcome> => {
  const { actor, deployment } = options;
  const completed = await completeParts(options);
  if (completed.kind === "complete") {
    const { parts } = completed;
    const sizeBytes = parts.reduce((sum, part) => sum + (part.sizeBytes ?? 0), 0);
    const buildMs = parts.reduce((sum, part) => sum + (part.buildMs ?? 0), 0);
    const built = await advance(options, deployment, "build", {
      actor,
      detail: { partitions: parts.length, sizeBytes, buildMs },
      patch: { sizeBytes, buildMs },
    });
    return built === null
      ? refused("state_changed", "another process took this deployment over")
      : { kind: "built", deployment: built };
  }
  const { outcome, leaf, standing, of } = completed;
  if (outcome.kind === "failed") {
    const reason = `partition ${leaf.name}: ${outcome.reason}`;
    const { sqlState } = outcome;
    const undone = await takeBack({ ...options, deployment, reason });
    const now = "deployment" in undone ? undone.deployment : deployment;
    return { kind: "failed", deployment: now, sqlState, reason, leftover: undone.kind !== "dropped" };
  }
  const done = `${String(standing)} of ${String(of)} partitions have their index`;
  const interrupted = outcome.kind === "interrupted";
  const leftover = standing > 0 || ("leftover" in outcome && outcome.leftover);
  const reason = "reason" in outcome ? `${done}; partition ${leaf.name}: ${outcome.reason}` : done;
  const next = await advance(options, deployment, leftover ? "postpone" : interrupted ? "interrupt" : "yield", {
    actor,
    detail: { standing, partitions: of, partition: leaf.name, because: outcome.kind, reason },
  });
  return interrupted
    ? { kind: "interrupted", deployment: next ?? deployment, leftover }
    : { kind: "deferred", deployment: next ?? deployment, reason, retryAt: outcome.retryAt, leftover };
};

type Completed =
  | { readonly kind: "complete"; readonly parts: readonly Deployment[] }
  | {
      readonly kind: "short";
      readonly leaf: Leaf;
      readonly outcome: Exclude<BuildOutcome, { readonly kind: "built" }>;
      readonly standing: number;
      readonly of: number;
    };

/** Builds the parts that are missing, also of partitions that came meanwhile, until every partition has its own. */
export const completeParts = async (options: BuildOptions): Promise<Completed> => {
  const { build, deployment } = options;
  for (;;) {
    const leaves = await readLeaves(build, deployment.tableOid);
    const standing = await standingParts(options, deployment);
    const missing = leaves.find(({ oid }) => !standing.has(oid));
    if (missing === undefined) {
      const here = new Set(leaves.map(({ oid }) => oid));
      return { kind: "complete", parts: [...standing.values()].filter(({ tableOid }) => here.has(tableOid)) };
    }
    const pages = leaves.reduce((sum, leaf) => sum + leaf.pages, 0);
    const share = pages === 0 ? 1 / leaves.length : missing.pages / pages;
    const outcome = await buildPart(options, missing, share);
    if (outcome.kind !== "built") {
      return { kind: "short", leaf: missing, outcome, standing: standing.size, of: leaves.length };
    }
  }
};

/** The parts whose index stands, by their table; what the catalogue does not have any more is recorded as gone. */
const standingParts = async (
  context: RolloutContext,
  deployment: Deployment,
): Promise<ReadonlyMap<number, Deployment>> => {
  const { build, store, actor } = context;
  const parts = (await store.deployments.parts(deployment.id)).filter(
    ({ state }) => state === "verifying" || state === "settled",
  );
  const usable = await readUsable(
    build,
    parts.flatMap(({ indexOid }) => (indexOid === null ? [] : [indexOid])),
  );
  const standing = new Map<number, Deployment>();
  for (const part of parts) {
    if (part.indexOid !== null && usable.has(part.indexOid)) standing.set(part.tableOid, part);
    else {
      const reason = "somebody dropped it, or made it invalid";
      const going = await advance(context, part, "roll_back", { actor, detail: { reason } });
      if (going !== null) await takeBack({ ...context, deployment: going, reason });
    }
  }
  return standing;
};

const buildPart = async (options: BuildOptions, leaf: Leaf, share: number): Promise<BuildOutcome> => {
  const { store, clock, signal, deployment: whole } = options;
  const unfinished = (await store.deployments.parts(whole.id)).find(
    ({ state, tableOid }) => state === "approved" && tableOid === leaf.oid,
  );
  let part = unfinished ?? (await insertPart(options, leaf, share));
  for (let tries = 1; ; tries += 1) {
    const outcome = await createIndex({ ...options, deployment: part });
    if (outcome.kind !== "deferred" && outcome.kind !== "refused") return outcome;
    const waitMs = outcome.retryAt === null ? null : outcome.retryAt.getTime() - clock.now().getTime();
    const left = outcome.kind === "deferred" && outcome.leftover;
    if (left || waitMs === null || waitMs > PART_PATIENCE_MS || tries === PART_TRIES) return outcome;
    await clock.sleep(Math.max(0, waitMs), signal).catch(() => undefined);
    part = (await store.deployments.get(part.id)) ?? part;
    if (signal?.aborted === true) return { kind: "interrupted", deployment: part, leftover: false };
  }
};

/** A part is approved with its whole. */
const insertPart = async (
  { store, clock, actor, deployment: whole }: BuildOptions,
  leaf: Leaf,
  share: number,
): Promise<Deployment> => {
  const { statementIds, prediction } = whole.rationale;
  const part: Deployment = {
    ...proposeIndex({
      id: randomUUID(),
      definition: { ...advised(whole), table: { schema: leaf.schema, name: leaf.name } },
      tableOid: leaf.oid,
      predictedBytes: whole.predictedBytes === null ? null : whole.predictedBytes * share,
      rationale: {
        statementIds,
        costBefore: null,
        costAfter: null,
        reason: `the part of ${whole.indexName} on this partition`,
        ...(prediction === undefined ? {} : { prediction: { ...prediction, buildMs: prediction.buildMs * share } }),
      },
      now: clock.now(),
    }),
    state: "approved",
    partOf: whole.id,
  };
  await store.deployments.insert(part, { event: "propose", actor });
  return part;
};
