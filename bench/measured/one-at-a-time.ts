import { generateCandidates } from "../../src/candidates/index.ts";
import type { HypotheticalIndex, WhatIfPlanner } from "../../src/domain/index.ts";
import type { Subject } from "../../src/pilot/index.ts";

/** Dexter's: a query's cost must halve before an index is worth having. */
const leastGain = 0.5;

/**
 * What an adviser chooses that looks at one query at a time: heaviest first, for each the one plain B-tree of at most two columns that makes it
 * cheapest by the planner's word, as long as the bytes last. What writes pay, and whether another index already helps, it does not ask.
 */
export const chooseOneAtATime = async (
  planner: WhatIfPlanner,
  { catalog, workload, accesses }: Pick<Subject, "catalog" | "workload" | "accesses">,
  budgetBytes: number,
): Promise<readonly HypotheticalIndex[]> => {
  const chosen = new Map<string, HypotheticalIndex>();
  let left = budgetBytes;
  for (const statement of workload.statements) {
    const own = { statementId: statement.id, accesses: accesses.get(statement.id) ?? [] };
    const { candidates } = generateCandidates({ statements: [own], catalog, maxColumns: 2, kinds: "btree" });
    const registered = await planner.register(candidates.map((one) => one.definition));
    const cost = async (visible: ReadonlySet<string>): Promise<number> => {
      const results = await planner.plan(
        statement.bindings.map((binding) => ({ binding, scope: statement.scope, visible, hidden: new Set<number>() })),
      );
      return results.reduce(
        (sum, result, at) =>
          sum +
          (statement.bindings[at]?.share ?? 0) *
            (result.kind === "planned" ? result.totalCost : Number.POSITIVE_INFINITY),
        0,
      );
    };
    const before = await cost(new Set());
    let best: { readonly index: HypotheticalIndex; readonly cost: number } | null = null;
    for (const index of registered) {
      const after = await cost(new Set([index.id]));
      if (after <= before * (1 - leastGain) && after < (best?.cost ?? Number.POSITIVE_INFINITY)) {
        best = { index, cost: after };
      }
    }
    if (best === null || chosen.has(best.index.id) || best.index.estimatedBytes > left) continue;
    chosen.set(best.index.id, best.index);
    left -= best.index.estimatedBytes;
  }
  return [...chosen.values()];
};
