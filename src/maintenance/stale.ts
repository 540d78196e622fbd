/** As autovacuum analyses by default: changed rows, of all and besides, above which statistics say too little. */
const STALE_SHARE = 0.1;
const STALE_ROWS = 50;

/** What the catalogue and the counters tell of a table's statistics. */
export interface StatisticsAge {
  /** `pg_class.reltuples`; −1 never analysed. */
  readonly tuples: number;
  /** `n_live_tup`, which ANALYZE sets to the same number. */
  readonly liveTuples: number;
  readonly modificationsSinceAnalyze: number;
  /** Whether the counters know of an ANALYZE. After a crash, a failover or a reset they know of none, nor of what has changed since. */
  readonly analyzed: boolean;
}

/**
 * Rows that changed since the last ANALYZE. What live rows came or went is part of it, even where no change was counted: who changes rows and analyses them in one
 * transaction has its changes counted a second or more afterwards, and on 14 a count can be lost.
 */
export const changedRows = ({
  tuples,
  liveTuples,
  modificationsSinceAnalyze,
}: Omit<StatisticsAge, "analyzed">): number => Math.max(modificationsSinceAnalyze, Math.abs(liveTuples - tuples));

/** Whether a table's statistics say too little about what is in it now: then bloat is withheld, and ANALYZE is the remedy. */
export const isStale = (age: StatisticsAge): boolean =>
  age.tuples < 0 || !age.analyzed || changedRows(age) > STALE_ROWS + STALE_SHARE * age.tuples;
