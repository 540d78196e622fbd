/**
 * What does an index cost by being there?
 *
 * Milliseconds, WAL and build time, from the writes that the workload makes and from what one entry costs, scaled to the target's own times. What one
 * entry costs is a table of reference, or a short measurement on a server of the same version (embedded, never the target).
 * Invariants: where nothing was measured nothing is charged, and the reason is said; an update that could stay on its page and no longer can is
 * charged with the entries of all the table's indexes. Leaves to others: whether what the reads gain is worth it (selection).
 */
export { roughBuildMs } from "./build-time.ts";
export { type EntryKind, type EntryCost, measureWriteCosts, type WriteCosts } from "./measure.ts";
export { referenceWriteCosts } from "./reference.ts";
export { createUpkeep, type Upkeep, type UpkeepInput, type UpkeepModel } from "./upkeep.ts";
