import { randomUUID } from "node:crypto";
import {
  type Block,
  type ChosenIndex,
  type Deployment,
  type EvidencePlan,
  type Table,
  tableId,
} from "../domain/index.ts";
import { advance, proposeIndex, type RolloutContext } from "../rollout/index.ts";
import { type Advice, queryName } from "./advice.ts";

/** Stores a chosen index as a deployment, with the evidence its verdict will be made from, and approves it in the actor's name. */
export const propose = async (
  rollout: RolloutContext,
  advice: Advice,
  chosen: ChosenIndex,
  baseline: readonly Block[],
  wanted: readonly ChosenIndex[],
): Promise<Deployment> => {
  const { definition } = chosen.index;
  const table = tableOf(advice, chosen);
  const evidence = evidenceFor(advice, chosen, baseline, wanted);
  const proposed = proposeIndex({
    id: randomUUID(),
    definition,
    tableOid: table.oid,
    predictedBytes: chosen.index.estimatedBytes,
    rationale: {
      statementIds: chosen.statementIds,
      costBefore: chosen.costBefore,
      costAfter: chosen.costAfter,
      reason: `serves ${chosen.statementIds.map((id) => queryName(advice, id)).join(", ")}`,
      ...(evidence === null ? {} : { evidence }),
    },
    now: rollout.clock.now(),
  });
  await rollout.store.deployments.insert(proposed, { event: "propose", actor: rollout.actor });
  const approved = await advance(rollout, proposed, "approve", { actor: rollout.actor, detail: { by: rollout.actor } });
  if (approved === null) throw new Error("a deployment that nobody else knows was changed by somebody else");
  return approved;
};

/** The table an index was chosen for. */
export const tableOf = (advice: Advice, chosen: ChosenIndex): Table => {
  const id = tableId(chosen.index.definition.table);
  const table = advice.catalog.tables.find((one) => tableId(one) === id);
  if (table === undefined) throw new Error("an index was chosen on a table that is not in the catalogue");
  return table;
};

/** What the verdict will be made from, settled before the build. */
const evidenceFor = (
  advice: Advice,
  chosen: ChosenIndex,
  baseline: readonly Block[],
  wanted: readonly ChosenIndex[],
): EvidencePlan | null => {
  const [first] = baseline;
  const last = baseline.at(-1);
  if (first === undefined || last === undefined) return null;
  const own = tableId(chosen.index.definition.table);
  const changing = new Set(wanted.map((other) => tableId(other.index.definition.table)));
  const tablesOf = (id: string): readonly string[] =>
    (advice.accesses.get(id) ?? []).map((access) => tableId(access.table));
  const served = new Set(chosen.statementIds);
  const writes = advice.workload.statements.filter(
    (statement) =>
      statement.verb !== "select" &&
      !served.has(statement.id) &&
      (advice.accesses.get(statement.id) ?? []).some(
        (access) => tableId(access.table) === own && access.written.length > 0,
      ),
  );
  const control = advice.workload.statements.filter((statement) => {
    const tables = tablesOf(statement.id);
    return tables.length > 0 && !tables.some((table) => changing.has(table));
  });
  return {
    baselineFrom: first.startedAt.toISOString(),
    baselineTo: last.endedAt.toISOString(),
    writeIds: writes.map((statement) => statement.id),
    controlIds: control.map((statement) => statement.id),
  };
};
