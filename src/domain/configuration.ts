import type { DeclinedCandidate } from "./candidate.ts";
import type { ExistingIndex } from "./catalog.ts";
import type { HypotheticalIndex } from "./whatif.ts";
import type { IndexDefinition, TableName } from "./index-definition.ts";

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
  /** By statement, what it saves there beside the other indexes of the configuration, largest first; weighted cost. */
  readonly gains?: readonly { readonly statementId: string; readonly saving: number }[];
  /** What would serve best in its place on the same table, by what is known; null where nothing else there would help at all. */
  readonly alternative?: Alternative | null;
}

/** The candidate that almost won. */
export interface Alternative {
  readonly definition: IndexDefinition;
  readonly estimatedBytes: number;
  /** How much more the whole workload would cost with it instead, weighted cost; an upper bound, as far as plans were asked for. */
  readonly worseBy: number;
}

export interface ProposedDrop {
  readonly index: ExistingIndex;
  readonly table: TableName;
  /** `duplicate`, `redundant_prefix`; `replaced` by an index of the configuration, so that it goes once that is built and has proved itself. */
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
    /** Questions that needed no call, because the answer followed from others. */
    readonly skippedCalls?: number;
    /** No set of the candidates within the limits costs less than this, upkeep included, as far as the planner minimises. */
    readonly bound?: number;
    /** (cost found − lower bound) / cost found: the answer is within this share of the optimum of the model. */
    readonly gap?: number;
    /** How far the planner's cost of the answer is from the model's, as a share: it does not minimise quite. The bound is as uncertain. */
    readonly modelDeviation?: number;
  };
}
