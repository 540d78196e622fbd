/**
 * What does the application ask of the database, how often, and what does that cost?
 *
 * Snapshots of pg_stat_statements and of the tables' counters, the blocks of time between them, and the workload they make: statements with real values for their
 * parameters. Or the same from files of SQL. Invariants: counters that were reset, evicted or lost in a restart are never taken for a difference; texts are kept
 * normalised, and real values exist in `Binding.sql` only, in memory; a statement we do not understand is declined with its reason, never
 * dropped in silence; ids are the same in blocks and workload.
 * Left to others: what the catalogue holds (it is given), what the planner says (whatif), keeping blocks (store).
 */
export { bindingFor } from "./binding.ts";
export { combined } from "./counters.ts";
export { blockBetween } from "./block.ts";
export { readQueryFiles } from "./files.ts";
export { workloadFromFiles } from "./from-files.ts";
export { buildWorkload, type Observation } from "./from-snapshots.ts";
export { resolversFor } from "./resolution.ts";
export { readStatementsSnapshot, type SnapshotRow, type StatementsSnapshot } from "./snapshot.ts";
export { readTables, type TablesReading, tablesBetween } from "./tables.ts";
export { withoutValues } from "./without-values.ts";
