import { randomUUID } from "node:crypto";
import type { Block, Deployment, EvidencePlan } from "../domain/index.ts";
import { advance, proposeIndex, type RolloutContext } from "../rollout/index.ts";
import { type ChangePlan, type PlannedIndex, plannedTable } from "./change-plan.ts";

/** Stores a planned index as a deployment, with the evidence its verdict will be made from, and approves it in the actor's name. */
export const propose = async (
  rollout: RolloutContext,
  plan: ChangePlan,
  planned: PlannedIndex,
  baseline: readonly Block[],
): Promise<Deployment> => {
  const evidence = evidenceFrom(plan, planned, baseline);
  const proposed = proposeIndex({
    id: randomUUID(),
    definition: planned.definition,
    tableOid: plannedTable(plan, planned).oid,
    predictedBytes: planned.predictedBytes,
    rationale: {
      statementIds: planned.statementIds,
      costBefore: planned.costBefore,
      costAfter: planned.costAfter,
      reason: `serves ${planned.queries.join(", ")}`,
      ...(planned.prediction === undefined ? {} : { prediction: planned.prediction }),
      ...(evidence === null ? {} : { evidence }),
    },
    now: rollout.clock.now(),
  });
  await rollout.store.deployments.insert(proposed, { event: "propose", actor: rollout.actor });
  const approved = await advance(rollout, proposed, "approve", { actor: rollout.actor, detail: { by: rollout.actor } });
  if (approved === null) throw new Error("a deployment that nobody else knows was changed by somebody else");
  return approved;
};

/** What the verdict will be made from, settled before the build; null where nothing was observed. */
const evidenceFrom = (plan: ChangePlan, planned: PlannedIndex, baseline: readonly Block[]): EvidencePlan | null => {
  const [first] = baseline;
  const last = baseline.at(-1);
  if (first === undefined || last === undefined) return null;
  return {
    baselineFrom: first.startedAt.toISOString(),
    baselineTo: last.endedAt.toISOString(),
    writeIds: planned.writeIds,
    controlIds: plan.controlIds,
  };
};
