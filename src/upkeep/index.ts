/**
 * What does an index cost by being there?
 *
 * Milliseconds, WAL and build time, from the writes that the workload makes and a short measurement of what one entry costs on a server of the
 * same version, scaled to the target's own times. Pure but for that measurement, which runs on an embedded server and never on the target.
 * Invariants: where nothing was measured nothing is charged, and the reason is said; an update that could stay on its page and no longer can is
 * charged with the entries of all the table's indexes. Leaves to others: whether what the reads gain is worth it (selection).
 */
export { type EntryKind, type EntryCost, measureWriteCosts, type WriteCosts } from "./measure.ts";
export { createUpkeep, type Upkeep, type UpkeepInput, type UpkeepModel } from "./upkeep.ts";
