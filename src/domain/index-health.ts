/**
 * How an index's bloat was found: `measured` by counting its keys in the table, `statistics` from the table's rows and its columns' statistics,
 * `baseline` from its own size per row when it was last built.
 */
export type BloatMethod = "measured" | "statistics" | "baseline";

/** Bloat is what an index could shrink by: 1 − (size its live entries need at its fillfactor) / size. Growth of the data is none. */
export type Bloat =
  | {
      readonly kind: "shown";
      readonly method: BloatMethod;
      /** 0 to 1. */
      readonly share: number;
      /** What the statistics leave open; the same as `share` where nothing. */
      readonly low: number;
      readonly high: number;
      /** What a REINDEX would leave. */
      readonly neededBytes: number;
    }
  | {
      readonly kind: "withheld";
      readonly code: WithheldCode;
      /** For people. */
      readonly reason: string;
      /** What would make it known: SQL where SQL does. */
      readonly remedy: string;
    };

export type WithheldCode =
  | "locked"
  | "invalid"
  | "too_small"
  | "no_baseline"
  | "never_analyzed"
  | "statistics_stale"
  | "statistics_unreadable"
  | "values_compressed"
  | "stored_otherwise"
  | "made_in_steps"
  | "statistics_too_coarse"
  | "rows_too_coarse"
  | "model_contradicted";

/** One look at one index. */
export interface IndexSample {
  readonly at: Date;
  readonly indexOid: number;
  /** `pg_relation_filenode`: another one after REINDEX, VACUUM FULL, CLUSTER. */
  readonly fileNode: number;
  readonly sizeBytes: number;
  /** What a rebuild would leave; null where withheld. Its growth is the data's, not bloat. */
  readonly neededBytes: number | null;
  /** Rows that it has entries for; null where nobody counted them, or many changed since. */
  readonly entries: number | null;
  /** Null where withheld. */
  readonly bloat: { readonly share: number; readonly method: BloatMethod } | null;
  /** Cumulative, as the server counts. */
  readonly scans: number;
  /** The same on replicas that were looked at, by `host:port`. */
  readonly replicaScans: Readonly<Record<string, number>>;
  readonly tableWrites: number;
  readonly hotUpdates: number;
  readonly updates: number;
}

/** What was forecast of an index, and what came. */
export interface KeptForecast {
  readonly indexOid: number;
  readonly fileNode: number;
  readonly madeAt: Date;
  readonly dueAt: Date;
  readonly value: number;
  readonly low: number;
  readonly high: number;
  /** Bloat at the first look within 36 hours after it was due; null until then, and where there was none or the file was rewritten before. */
  readonly achieved: number | null;
}
