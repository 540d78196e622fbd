import type { DeclinedCandidate, IndexKey, ProposedDrop } from "../domain/index.ts";
import type { CostSource } from "./cost-source.ts";
import type { StatementBefore } from "./gate.ts";

/** What is there and not there beside the drops in question. */
interface Beside {
  readonly visible: ReadonlySet<string>;
  readonly hidden: ReadonlySet<number>;
}

const asThingsAre: Beside = { visible: new Set(), hidden: new Set() };

/**
 * The drops after which, by default with no new index, no statement is dearer than the gate allows. Where the cost source cannot hide an index it answers
 * as if nothing were dropped; a redundant index is covered by another, so that is the same to a close approximation.
 */
export const harmlessDrops = async (
  costs: CostSource,
  statements: readonly StatementBefore[],
  drops: readonly ProposedDrop[],
  maximumHarm: number,
  beside: Beside = asThingsAre,
): Promise<{ readonly accepted: readonly ProposedDrop[]; readonly declined: readonly DeclinedCandidate[] }> => {
  const declined: DeclinedCandidate[] = [];
  let accepted = drops;
  while (accepted.length > 0) {
    const harmed = await harmedBy(costs, statements, accepted, maximumHarm, beside);
    if (harmed.length === 0) break;
    const guilty: ProposedDrop[] = [];
    for (const drop of accepted) {
      if ((await harmedBy(costs, harmed, [drop], maximumHarm, beside)).length > 0) guilty.push(drop);
    }
    // Harmful only together: then none of them goes.
    const refused = guilty.length > 0 ? guilty : accepted;
    for (const drop of refused) declined.push(asDeclined(drop, harmed));
    accepted = accepted.filter((drop) => !refused.includes(drop));
  }
  return { accepted, declined };
};

const harmedBy = async (
  costs: CostSource,
  statements: readonly StatementBefore[],
  drops: readonly ProposedDrop[],
  maximumHarm: number,
  beside: Beside,
): Promise<StatementBefore[]> => {
  const hidden = new Set([...beside.hidden, ...drops.map((drop) => drop.index.oid)]);
  const answers = await costs.costs(
    statements.map(({ statementId }) => ({ statementId, visible: beside.visible, hidden })),
  );
  return statements.filter(({ costBefore }, position) => {
    const answer = answers[position];
    return answer?.kind !== "costed" || answer.cost > costBefore * (1 + maximumHarm);
  });
};

const asDeclined = ({ index, table }: ProposedDrop, harmed: readonly StatementBefore[]): DeclinedCandidate => ({
  definition: {
    table: { schema: table.schema, name: table.name },
    method: "btree",
    keys: index.keys.flatMap((column, position): IndexKey[] =>
      column === null
        ? []
        : [{ column, direction: index.directions[position] ?? "asc", nulls: index.nulls[position] ?? "last" }],
    ),
    include: index.include,
  },
  code: "drop_harms_statement",
  reason: `dropping ${index.name} would make ${String(harmed.length)} statement(s) dearer than the gate allows`,
  statementIds: harmed.map((statement) => statement.statementId),
  existing: index.oid,
});
