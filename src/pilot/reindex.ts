import { randomUUID } from "node:crypto";
import { failure } from "../errors.ts";
import type { Deployment, DeploymentRationale } from "../domain/index.ts";
import { openSession, type Session } from "../postgres/index.ts";
import {
  advance,
  type BuildOutcome,
  findStanding,
  type Impossible,
  objectionToReindex,
  ownerOf,
  proposeReindex,
  type StandingIndex,
} from "../rollout/index.ts";
import type { Store } from "../store/index.ts";
import { estimateBuildMs } from "./build-estimate.ts";
import { buildNow } from "./build-one.ts";
import { experimentOf, howToEnd } from "./held.ts";
import { takeUpLeftovers } from "./leftovers.ts";
import { requireBuildPrivileges } from "./privileges.ts";
import { type Deciding, supersedeEarlier } from "./proposal.ts";
import type { Rollout } from "./rollout-context.ts";
import { type PilotContext, readStore, withSession } from "./target.ts";
import { withRollout } from "./verify.ts";

/** What rebuilding an index would do. */
export interface ReindexPlan {
  readonly standing: StandingIndex;
  /** Expected; see {@link estimateBuildMs}. */
  readonly buildMs: number;
  /** Why it cannot be. */
  readonly impossible: Impossible | null;
}

export interface Reindexed {
  readonly plan: ReindexPlan;
  /** Null where nothing was begun, which `plan.impossible` explains. */
  readonly outcome: BuildOutcome | null;
}

const planOf = async (session: Session, store: Store | null, index: string): Promise<ReindexPlan> => {
  const [standing, second] = await findStanding(session, index);
  if (standing === undefined) {
    throw failure("usage", { problem: `there is no index named ${index}`, hint: "write it as name or schema.name" });
  }
  if (second !== undefined) {
    throw failure("usage", {
      problem: `several schemas have an index named ${index}`,
      hint: `write ${standing.schema}.${standing.name} or ${second.schema}.${second.name}`,
    });
  }
  const buildMs = await estimateBuildMs(session, store, standing);
  return { standing, buildMs, impossible: objectionToReindex(standing) ?? (await onTrial(store, standing)) };
};

/** It would get another OID, by which its experiment would miss it. */
const onTrial = async (store: Store | null, standing: StandingIndex): Promise<Impossible | null> => {
  const owner = store === null ? null : await ownerOf(store, standing);
  const experiment = store === null || owner === null ? null : await experimentOf(store, owner);
  if (experiment === null) return null;
  return {
    code: "on_trial",
    reason: `${standing.name} is on trial in experiment ${String(experiment.number)}`,
    remedy: howToEnd(experiment),
  };
};

/** What {@link reindexIndex} would do. Changes nothing. @throws IndexPilotError `usage` where there is no such index */
export const planReindex = (context: PilotContext, index: string): Promise<ReindexPlan> =>
  withSession(openSession(context.observe, "observe"), async (session) => {
    const planned = await readStore(context, (store) => planOf(session, store, index));
    return planned ?? planOf(session, null, index);
  });

/** What is foretold of a rebuild. */
export interface Foretold {
  /** The share of the index that is bloat. */
  readonly bloat: number;
  /** What a rebuild would leave of it. */
  readonly neededBytes: number;
}

/**
 * Builds an index anew as it is, anybody's, with `reindex index concurrently`, watched and under a permit.
 * @throws IndexPilotError as {@link planReindex}; `privilege_missing`, `refused`, `connection_lost`
 */
export const reindexIndex = (
  context: PilotContext,
  {
    index,
    actor,
    reason,
    foretold,
  }: { readonly index: string; readonly actor: string; readonly reason: string; readonly foretold?: Foretold },
): Promise<Reindexed> =>
  withRollout(
    context,
    { name: actor, consents: true },
    async (rollout) => {
      await takeUpLeftovers(rollout, context.emit, { goOn: false });
      const planned = await planOf(rollout.build, rollout.store, index);
      if (planned.impossible !== null) return { plan: planned, outcome: null };
      const detail = { by: actor, reason: reason === "" ? `by ${actor}` : `by ${actor}: ${reason}` };
      return { plan: planned, outcome: await rebuild(context, rollout, planned, detail, foretold) };
    },
    { create: true },
  );

/** One approved reindex from its intention to its end. For whoever has chosen the index and holds a rollout. */
const rebuild = async (
  context: PilotContext,
  rollout: Rollout,
  planned: Pick<ReindexPlan, "standing" | "buildMs">,
  detail: { readonly by: string; readonly reason: string },
  foretold?: Foretold,
): Promise<BuildOutcome> => {
  const { standing } = planned;
  await requireBuildPrivileges(rollout.build, [{ oid: standing.tableOid }]);
  await supersedeEarlier(rollout, standing);
  const proposed = await proposeRebuild(rollout, planned, rebuildTerms(planned, `rebuilt, ${detail.reason}`, foretold));
  const deployment = await advance(rollout, proposed, "approve", { actor: rollout.actor, detail });
  if (deployment === null) throw new Error("a deployment that nobody else knows was changed by somebody else");
  context.emit({ kind: "step", text: `rebuilding ${standing.name}` });
  return buildNow(context, rollout, deployment);
};

/** What is decided by, and to be held against what comes. */
export const rebuildTerms = (
  { standing, buildMs }: Pick<ReindexPlan, "standing" | "buildMs">,
  reason: string,
  foretold?: Foretold,
): { readonly rationale: DeploymentRationale; readonly predictedBytes: number } => ({
  predictedBytes: foretold?.neededBytes ?? standing.sizeBytes,
  rationale: {
    statementIds: [],
    costBefore: null,
    costAfter: null,
    reason,
    prediction: { buildMs, writeOverhead: null, savedPerPaid: null },
    ...(foretold === undefined ? {} : { bloat: foretold.bloat }),
  },
});

/** Stores the intention to rebuild an index. */
export const proposeRebuild = async (
  { store, clock, actor }: Deciding,
  { standing }: Pick<ReindexPlan, "standing">,
  terms: ReturnType<typeof rebuildTerms>,
): Promise<Deployment> => {
  const proposed = proposeReindex({
    id: randomUUID(),
    standing,
    deploymentId: (await ownerOf(store, standing))?.id ?? null,
    tableOid: standing.tableOid,
    ...terms,
    now: clock.now(),
  });
  await store.deployments.insert(proposed, { event: "propose", actor });
  return proposed;
};
