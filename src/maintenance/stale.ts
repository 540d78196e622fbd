/** As autovacuum analyses by default: changed rows, of all and besides, above which statistics say too little. */
const STALE_SHARE = 0.1;
const STALE_ROWS = 50;

/** What the catalogue and the counters tell of a table's statistics. */
export interface StatisticsAge {
  /** `pg_class.reltuples`; −1 never analysed. */
  readonly tuples: number;
  readonly modificationsSinceAnalyze: number;
  /** Whether the counters know of an ANALYZE. After a crash, a failover or a reset they know of none, nor of what has changed since. */
  readonly analyzed: boolean;
}

/** Whether a table's statistics say too little about what is in it now: then bloat is withheld, and ANALYZE is the remedy. */
export const isStale = ({ tuples, modificationsSinceAnalyze, analyzed }: StatisticsAge): boolean =>
  tuples < 0 || !analyzed || modificationsSinceAnalyze > STALE_ROWS + STALE_SHARE * tuples;
