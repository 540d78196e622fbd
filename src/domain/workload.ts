import type { TableAccess } from "./access.ts";
import type { ObservationScope } from "./identity.ts";

export type Verb = "select" | "insert" | "update" | "delete" | "merge";

/**
 * Where a parameter's value came from, best first: `literal` the text had it, `statistics` drawn from the column's
 * most common values and histogram, `guess` a plausible value of the right type (advice is low confidence).
 */
export type BindingSource = "literal" | "statistics" | "guess";

/** One executable text of a statement: no parameters left. Kept in memory only, for it may hold real values. */
export interface Binding {
  readonly sql: string;
  /** This text's share of the statement's calls; the shares of one statement sum to 1. */
  readonly share: number;
  readonly source: BindingSource;
}

/** One query shape, as one role ran it. */
export interface Statement {
  /** Stable within a target: fingerprint, role, and search path. */
  readonly id: string;
  /** 16 hex digits of libpg_query. */
  readonly fingerprint: string;
  /** `pg_stat_statements.queryid`; null when the statement came from a file. */
  readonly queryId: string | null;
  /** A short name for people: the file's name, else a hint such as `select orders`. */
  readonly label: string;
  /** Normalised text: `$n` in place of literals when observed; as written when from a file. */
  readonly text: string;
  readonly verb: Verb;
  readonly scope: ObservationScope;
  /** In the observed period; for files, the weight. */
  readonly calls: number;
  /** Milliseconds in the observed period; null when the statement came from a file. */
  readonly totalMs: number | null;
  readonly rowsPerCall: number | null;
  readonly bindings: readonly Binding[];
}

/**
 * One of the statements that together take the last of the time: counted, its writes charged, and not planned, for no index could bring it much.
 */
export interface MinorStatement extends Pick<
  Statement,
  "id" | "fingerprint" | "label" | "verb" | "calls" | "totalMs" | "rowsPerCall"
> {
  /** Each table it uses once, with the columns it writes. */
  readonly uses: readonly Pick<TableAccess, "table" | "written">[];
}

/** A statement that takes no part in the analysis, and why. */
export interface DeclinedStatement {
  readonly label: string;
  /** How many it stands for; absent means one. */
  readonly statements?: number;
  readonly fingerprint: string | null;
  readonly reason: string;
}

export interface Workload {
  readonly source: "pg_stat_statements" | "files";
  readonly observedFrom: Date | null;
  readonly observedTo: Date | null;
  readonly statements: readonly Statement[];
  /** Those beyond the share of the time that is analysed; absent means none. */
  readonly minor?: readonly MinorStatement[];
  readonly declined: readonly DeclinedStatement[];
}

/** Counters of one `pg_stat_statements` row, cumulative in a snapshot or the difference within a block. */
export interface StatementCounters {
  readonly calls: number;
  /** Milliseconds. */
  readonly totalMs: number;
  /** Population standard deviation of one call within the period, ms; null when it cannot be derived. */
  readonly stddevMs: number | null;
  readonly rows: number;
  readonly sharedBlocksHit: number;
  readonly sharedBlocksRead: number;
  readonly tempBlocks: number;
  readonly walBytes: number;
}

/**
 * Rows of one table that the server counted, cumulative in a reading or the difference within a block. A session reports its transactions up to a second
 * later, and when it falls idle up to ten (pgstat.c), so that the first block after a change can hold some from before it.
 */
export interface TableCounters {
  readonly inserted: number;
  readonly updated: number;
  /** Of the updated: those whose new version stayed on its page and made no entry in any index but BRIN (heap-only tuples). */
  readonly hotUpdated: number;
  readonly deleted: number;
}

/** What happened to every statement between two snapshots. */
export interface Block {
  readonly startedAt: Date;
  readonly endedAt: Date;
  /** Why nothing may be concluded from this block (statistics reset, restart, eviction…); null when it is sound. */
  readonly voidReason: string | null;
  /** By `Statement.id`. */
  readonly statements: ReadonlyMap<string, StatementCounters>;
  /**
   * By the table's OID; a partitioned table has the sums of its partitions. A table is missing where nothing was written to it, and where its counters
   * were reset within the block. Absent where nobody read them.
   */
  readonly tables?: ReadonlyMap<number, TableCounters>;
}
