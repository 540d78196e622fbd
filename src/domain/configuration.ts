import type { DeclinedCandidate } from "./candidate.ts";
import type { ExistingIndex } from "./catalog.ts";
import type { HypotheticalIndex } from "./whatif.ts";
import type { TableName } from "./index-definition.ts";

/** One statement's planner cost per call, weighted over its bindings. */
export interface StatementCost {
  readonly statementId: string;
  readonly costBefore: number;
  readonly costAfter: number;
  /** Ids of the new indexes its plans use. */
  readonly usedIndexes: readonly string[];
}

export interface ChosenIndex {
  readonly index: HypotheticalIndex;
  /** Statements whose plan uses it in the final configuration. */
  readonly statementIds: readonly string[];
  /** Weighted cost of those statements, without and with the whole configuration. */
  readonly costBefore: number;
  readonly costAfter: number;
}

export interface ProposedDrop {
  readonly index: ExistingIndex;
  readonly table: TableName;
  readonly code: string;
  readonly reason: string;
}

/** The set of changes that serves a workload best within its budget, as far as the search went. */
export interface Configuration {
  readonly create: readonly ChosenIndex[];
  readonly drop: readonly ProposedDrop[];
  readonly declined: readonly DeclinedCandidate[];
  readonly statements: readonly StatementCost[];
  readonly totals: {
    /** Σ weight × planner cost. */
    readonly costBefore: number;
    readonly costAfter: number;
    /** Created minus dropped. */
    readonly sizeBytes: number;
    readonly whatIfCalls: number;
  };
}
