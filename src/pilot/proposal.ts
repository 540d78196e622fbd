import { randomUUID } from "node:crypto";
import type { Settings } from "../config/index.ts";
import { definitionId, type Block, type Deployment, type DeploymentRationale } from "../domain/index.ts";
import { advance, proposeIndex, type RolloutContext } from "../rollout/index.ts";
import { standingConsent } from "./modes.ts";
import type { Store } from "../store/index.ts";
import { heldByExperiments } from "./held.ts";
import { type ChangePlan, type PlannedIndex, plannedTable } from "./change-plan.ts";

/** What deciding about intentions needs; nothing of the target. */
export type Deciding = Pick<RolloutContext, "store" | "clock" | "actor">;

const rationaleOf = (plan: ChangePlan, planned: PlannedIndex): DeploymentRationale => ({
  statementIds: planned.statementIds,
  costBefore: planned.costBefore,
  costAfter: planned.costAfter,
  reason: `serves ${planned.queries.join(", ")}`,
  ...(planned.finding === undefined ? {} : { finding: planned.finding }),
  comparison: { writeIds: planned.writeIds, controlIds: plan.controlIds },
  ...(planned.prediction === undefined ? {} : { prediction: planned.prediction }),
  ...(planned.confidence === undefined ? {} : { confidence: planned.confidence }),
});

/** What a plan wants built, as a proposal that is not stored. */
export const proposalOf = (plan: ChangePlan, planned: PlannedIndex, now: Date): Deployment =>
  proposeIndex({
    id: randomUUID(),
    definition: planned.definition,
    tableOid: plannedTable(plan, planned).oid,
    predictedBytes: planned.predictedBytes,
    rationale: rationaleOf(plan, planned),
    now,
  });

/**
 * Stores what a plan wants built as proposals, in its order. An intention of before that was not begun keeps its place, and its approval, where the plan wants the same; where
 * not, and `supersedes` says so, it is declined; by default what the analysis of a workload had wanted.
 */
export const proposePlan = async (
  deciding: Deciding,
  plan: ChangePlan,
  wanted: readonly PlannedIndex[],
  supersedes: (waiting: Deployment) => boolean | Promise<boolean> = ({ rationale }) => rationale.finding === undefined,
): Promise<readonly Deployment[]> => {
  const { store, clock, actor } = deciding;
  const held = await heldByExperiments(store);
  const waiting = new Map(
    (await store.deployments.list({ states: ["proposed", "approved"] })).flatMap((deployment) =>
      deployment.kind === "create" &&
      !held.has(deployment.id) &&
      deployment.partOf === undefined &&
      deployment.intended !== null
        ? [[definitionId(deployment.intended), deployment] as const]
        : [],
    ),
  );
  // What is on trial has its experiment. A leftover is taken up first; what comes of it decides whether it is wanted again. And on a partitioned table the catalogue shows an index only
  // when it is settled.
  const underWay = new Set(
    (
      await store.deployments.list({
        states: ["proposed", "approved", "building", "rolling_back", "verifying", "promoting"],
      })
    )
      .filter(
        ({ id, state, indexOid }) =>
          held.has(id) ||
          state === "building" ||
          state === "rolling_back" ||
          (indexOid === null && state !== "proposed" && state !== "approved"),
      )
      .flatMap(({ intended }) => (intended === null ? [] : [definitionId(intended)])),
  );
  const proposals: Deployment[] = [];
  for (const planned of wanted) {
    if (underWay.has(definitionId(planned.definition))) continue;
    const { predictedBytes, definition } = planned;
    const earlier = waiting.get(definitionId(definition));
    waiting.delete(definitionId(definition));
    const revised =
      earlier === undefined
        ? null
        : await store.deployments.revise(earlier.id, { rationale: rationaleOf(plan, planned), predictedBytes });
    if (revised !== null) {
      proposals.push(revised);
      continue;
    }
    const proposed = proposalOf(plan, planned, clock.now());
    await store.deployments.insert(proposed, { event: "propose", actor });
    proposals.push(proposed);
  }
  for (const stale of waiting.values()) {
    if (!(await supersedes(stale))) continue;
    const reason = "it was never begun, and a new analysis takes its place";
    await advance(deciding, stale, "decline", { actor, detail: { code: "superseded", reason } });
  }
  return proposals;
};

/** Ends what was wanted of an index before by a person's word, and was not begun or gave way: a later word takes its place. */
export const supersedeEarlier = async (
  deciding: Deciding,
  { tableOid, name }: { readonly tableOid: number; readonly name: string },
): Promise<void> => {
  for (const one of await deciding.store.deployments.list({ states: ["proposed", "approved"] })) {
    if (one.tableOid !== tableOid || one.indexName !== name || one.intended !== null) continue;
    const detail = { code: "superseded", reason: "a later one takes its place" };
    await advance(deciding, one, "decline", { actor: deciding.actor, detail });
  }
};

/** Says yes to a proposal in the actor's name. @returns null where another process was quicker */
export const approveProposal = (
  deciding: Deciding,
  proposal: Deployment,
  reason: string,
): Promise<Deployment | null> => {
  const { actor } = deciding;
  return advance(deciding, proposal, "approve", { actor, detail: { by: actor, reason } });
};

/** A proposal to build, approved where nobody has to be asked about it. What is not ours is dropped in no mode without a person's word. */
export const withStandingConsent = async (
  deciding: Deciding,
  proposal: Deployment,
  settings: Settings,
): Promise<Deployment> => {
  const consent = proposal.state === "proposed" ? standingConsent(proposal, settings) : null;
  return (consent === null ? null : await approveProposal(deciding, proposal, consent)) ?? proposal;
};

/** Settles, before the build, what the verdict will be made from. Without a block nothing was observed, and there will be none. */
export const withEvidence = async (
  store: Store,
  deployment: Deployment,
  baseline: readonly Block[],
): Promise<Deployment | null> => {
  const { comparison } = deployment.rationale;
  const [first] = baseline;
  const last = baseline.at(-1);
  if (comparison === undefined || first === undefined || last === undefined) return deployment;
  const evidence = {
    ...comparison,
    baselineFrom: first.startedAt.toISOString(),
    baselineTo: last.endedAt.toISOString(),
  };
  return store.deployments.revise(deployment.id, { rationale: { ...deployment.rationale, evidence } });
};
