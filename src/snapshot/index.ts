/**
 * What does advising need of a target, once and for all, in a file?
 *
 * The format of snapshot files, and how one is made harmless by leaving values out. Invariants: a file is readable by its owner only and never replaces
 * another by accident; what is read back is what was written; a file of another format or of a newer version is refused in words. A snapshot that
 * is not redacted holds real values out of the planner's statistics: it is as sensitive as the data.
 * Leaves to others: asking a target (`pilot`).
 */
export { type PlanAnswer, planKey, type PlanQuestion, prunePlan } from "./plans.ts";
export { redactCatalog } from "./redact.ts";
export { readSnapshotFile, requireNewFile, type Snapshot, writeSnapshotFile } from "./file.ts";
