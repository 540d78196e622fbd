/**
 * Which indexes might help this workload?
 *
 * Pure: statements as table accesses and one reading of the catalogue go in; candidates, and what was thought of and declined, come out.
 * Invariants: a candidate never repeats what a valid index already offers; it can never make a later write fail for its width; the number
 * of candidates is bounded, and what the bound cut off is reported. Whether a candidate *pays* is not decided here: that needs a planner
 * (what-if) and a budget (selection).
 */
export { generateCandidates, type CandidateInput, type CandidateOptions, type Candidates } from "./generate.ts";
export { namesTenant } from "./tenant.ts";
export { redundantIndexes, replacedIndexes } from "./redundant.ts";
