import type { HypotheticalIndex, Statement, WhatIfPlanner, WhatIfRequest } from "../../src/domain/index.ts";
import { ascending, definitionId } from "../../src/domain/index.ts";
import { decodePlan } from "../../src/plan/index.ts";

export const index = (table: string, ...columns: string[]): HypotheticalIndex => {
  const definition = {
    table: { schema: "public", name: table },
    method: "btree" as const,
    keys: columns.map(ascending),
    include: [],
  };
  return { id: definitionId(definition), definition, estimatedBytes: 1_000, planName: `<7>${columns.join("_")}` };
};

export const statement = (id: string, bindings: Record<string, number>): Statement => ({
  id,
  fingerprint: id,
  queryId: null,
  label: id,
  text: id,
  verb: "select",
  scope: { role: "app", searchPath: ["public"] },
  calls: 1,
  totalMs: null,
  rowsPerCall: null,
  bindings: Object.entries(bindings).map(([sql, share]) => ({ sql, share, source: "literal" })),
});

/** A plan that a text can have: the indexes it needs, and its cost. */
export interface Alternative {
  readonly needs: readonly string[];
  readonly cost: number;
}

/**
 * A planner over given alternatives: takes the cheapest whose indexes are visible, as PostgreSQL does. It stands for no server: what it tests is the
 * bookkeeping of costs, which must be right for any planner that minimises.
 */
export const planner = (
  alternatives: ReadonlyMap<string, readonly Alternative[]>,
  options: { readonly canHide?: boolean } = {},
): WhatIfPlanner & { readonly requests: WhatIfRequest[]; readonly batches: number[] } => {
  const requests: WhatIfRequest[] = [];
  const batches: number[] = [];
  return {
    name: "shadow",
    canHide: options.canHide ?? true,
    requests,
    batches,
    register: () => Promise.resolve([]),
    plan: (batch) => {
      requests.push(...batch);
      batches.push(batch.length);
      return Promise.resolve(
        batch.map((request) => {
          const open = (alternatives.get(request.binding.sql) ?? []).filter(({ needs }) =>
            needs.every((id) => request.visible.has(id)),
          );
          const best = open.toSorted((a, b) => a.cost - b.cost)[0];
          if (best === undefined) return { kind: "failed", reason: "no such table" };
          const plan = decodePlan([{ Plan: { "Node Type": "Result", "Total Cost": best.cost } }]);
          return { kind: "planned", plan, totalCost: best.cost, usedIndexes: best.needs };
        }),
      );
    },
    close: () => Promise.resolve(),
  };
};
