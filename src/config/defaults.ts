/** Each knob's default, its unit in the name, and why this number. */
export const defaults = {
  /** Storage for what IndexPilot creates, minus what it drops. Large enough for most databases, small enough to be noticed. */
  budgetBytes: 10e9,
  /** Key columns per index; a fourth rarely pays on B-trees and multiplies the candidates. */
  maxColumns: 3,
  /** Length of one block of observation: reading pg_stat_statements more often would be felt, and less often gives few blocks. */
  blockMs: 5_000,
  /** Observation before a build: twelve blocks, with which a fifth of the time is found in nine cases of ten (bench/verdicts.ts). */
  baselineMs: 60_000,
  /** Blocks on each side before the first look; fewer than five cannot tell noise from a change. */
  minimumBlocks: 5,
  /** How long `--wait` looks for a verdict before it is called undecided. */
  waitMs: 600_000,
  /** What a build of ours may make another session wait for, plus one poll of the watcher. */
  lockBudgetMs: 200,
  /** Indexes on one table, everybody's counted: each one costs every write, and planning time. */
  indexesPerTable: 10,
  /** Builds on one table in an hour: a loop of create and drop must not wear the disk out. */
  buildsPerTablePerHour: 10,
  /** Error probability of naming a winner, over all looks and statements of one index. */
  alpha: 0.05,
  /** A change of mean time within ± this is called equivalent. */
  margin: 0.05,
  /** Seed of parameter sampling; the same seed gives the same advice. */
  seed: 1,
} as const;
