import type { Binding } from "./workload.ts";
import type { ObservationScope } from "./identity.ts";
import type { Plan } from "../plan/index.ts";
import type { IndexDefinition } from "./index-definition.ts";

/** A candidate as a what-if planner sees it. */
export interface HypotheticalIndex {
  /** `definitionId(definition)`. */
  readonly id: string;
  readonly definition: IndexDefinition;
  readonly estimatedBytes: number;
  /** How the planner names it in its plans. */
  readonly planName: string;
  /** Why its size and its plans are less certain than others', for people; absent where they are not. */
  readonly uncertain?: string;
}

/** Why candidates on an expression are uncertain: only ANALYZE of the index itself tells how its values are spread. */
export const unseenExpression =
  "how the values of its expression are spread is unknown until ANALYZE has seen the index";

export interface WhatIfRequest {
  readonly binding: Binding;
  readonly scope: ObservationScope;
  /** Ids of the hypothetical indexes the planner may use; all others are invisible. */
  readonly visible: ReadonlySet<string>;
  /** OIDs on the target of existing indexes the planner must not use. */
  readonly hidden: ReadonlySet<number>;
}

/** The expected outcome of planning: a plan, or why there is none. */
export type WhatIfResult =
  | {
      readonly kind: "planned";
      readonly plan: Plan;
      readonly totalCost: number;
      readonly usedIndexes: readonly string[];
    }
  | { readonly kind: "failed"; readonly reason: string };

/** Asks a planner "what if?". The shadow and HypoPG both implement it; nothing on the target changes either way. */
export interface WhatIfPlanner {
  readonly name: "shadow" | "hypopg";
  /** Makes candidates known, once each; those the planner cannot represent are left out of the answer. */
  register(definitions: readonly IndexDefinition[]): Promise<readonly HypotheticalIndex[]>;
  /** Plans many requests in as few round trips as the engine allows; answers in the order of the requests. */
  plan(requests: readonly WhatIfRequest[]): Promise<readonly WhatIfResult[]>;
  /** Whether `hidden` is honoured (HypoPG before 1.4 cannot hide a real index). */
  readonly canHide: boolean;
  close(): Promise<void>;
}

/** How far the what-if planner's baseline is from the target's own EXPLAIN, for one statement. */
export interface Calibration {
  readonly statementId: string;
  /** `trusted`: same plan shape and cost within 1 %. `low`: they differ. `unknown`: the target could not be asked. */
  readonly confidence: "trusted" | "low" | "unknown";
  readonly targetCost: number | null;
  readonly whatIfCost: number | null;
  readonly reason: string | null;
}
