/**
 * Which set of changes serves the workload best within the budget?
 *
 * Candidates with sizes, a cost source and a storage budget go in; a configuration comes out, with every statement's cost before and after, and a
 * reason for every candidate that was not chosen. Invariants: the budget holds; no statement becomes worse than the gate allows; each chosen
 * index is used by a plan and brings one statement at least the minimal gain; the same input gives the same answer.
 * It asks the cost source and nothing else: no SQL, no connection. Building and proving are others' work.
 */
export type { SearchContext, SelectionAlgorithm } from "./algorithm.ts";
export type { CostAnswer, CostQuery, CostSource } from "./cost-source.ts";
export { selectConfiguration } from "./goals.ts";
export { type IndexRisk, riskyIndexes } from "./plan-gate.ts";
export type { Goal, SelectionInput, SelectionResult } from "./select.ts";
export { workloadWeights, type WeightUnit } from "./weights.ts";
