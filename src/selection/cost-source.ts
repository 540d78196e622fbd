/** One statement under one configuration: new indexes it may use, existing ones it may not. */
export interface CostQuery {
  readonly statementId: string;
  /** Ids of new indexes. */
  readonly visible: ReadonlySet<string>;
  /** OIDs of existing indexes. */
  readonly hidden: ReadonlySet<number>;
}

export type CostAnswer =
  | { readonly kind: "costed"; readonly cost: number; readonly used: readonly string[] }
  | { readonly kind: "failed"; readonly reason: string };

/** What selection needs to know of costs; what-if's cost model is one. */
export interface CostSource {
  /** Questions that reached a planner so far. */
  readonly whatIfCalls: number;
  /** Questions that did not need to, because the answer was known or followed from what was. */
  readonly skipped: number;
  /** Ids of the new indexes that could change this statement's plan. */
  relevant(statementId: string): readonly string[];
  /** In the order of the queries. `planned`: a plan under exactly this configuration, not a cost that follows from others. */
  costs(queries: readonly CostQuery[], precision?: "derived" | "planned"): Promise<readonly CostAnswer[]>;
}
