import { ascending, definitionId, type HypotheticalIndex } from "../../src/domain/index.ts";
import type { CostQuery, CostSource } from "../../src/selection/index.ts";

export const candidate = (name: string, estimatedBytes: number): HypotheticalIndex => {
  const definition = {
    table: { schema: "public", name: "t" },
    method: "btree" as const,
    keys: [ascending(name)],
    include: [],
  };
  return { id: definitionId(definition), definition, estimatedBytes, planName: name };
};

export interface Alternative {
  readonly needs: readonly HypotheticalIndex[];
  readonly cost: number;
  /** Only to be had while no index is hidden. */
  readonly needsHidden?: boolean;
}

/** Costs that are the cheapest of given alternatives: the model that selection assumes of a planner, with nothing known until it is asked. */
export const source = (
  statements: Readonly<Record<string, readonly Alternative[]>>,
): CostSource & { truth(query: CostQuery): number } => {
  let whatIfCalls = 0;
  const best = ({ statementId, visible, hidden }: CostQuery) =>
    (statements[statementId] ?? [])
      .filter(
        ({ needs, needsHidden }) =>
          needs.every(({ id }) => visible.has(id)) && !(needsHidden === true && hidden.size > 0),
      )
      .toSorted((a, b) => a.cost - b.cost)[0];
  return {
    get whatIfCalls() {
      return whatIfCalls;
    },
    skipped: 0,
    truth: (query) => best(query)?.cost ?? Number.NaN,
    relevant: (statementId) => [
      ...new Set((statements[statementId] ?? []).flatMap(({ needs }) => needs.map(({ id }) => id))),
    ],
    costs: (queries) =>
      Promise.resolve(
        queries.map((query) => {
          whatIfCalls += 1;
          const plan = best(query);
          if (plan === undefined) return { kind: "failed", reason: "no such table" };
          const used = plan.needs.map(({ id }) => id);
          return { kind: "costed", cost: plan.cost, used };
        }),
      ),
  };
};
