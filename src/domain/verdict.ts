export type Outcome = "better" | "worse" | "equivalent" | "undecided";

/** A two-sided interval for a relative change (−0.5 is half the time, +1 is twice), or for the difference of two shares. */
export interface Interval {
  readonly low: number;
  readonly high: number;
  /** Confidence level, e.g. 0.95, and for all looks at once; corrected for the number of statements. */
  readonly level: number;
}

export interface StatementVerdict {
  readonly statementId: string;
  readonly outcome: Outcome;
  /** Arithmetic mean per call, milliseconds; null without calls. */
  readonly meanMsBefore: number | null;
  readonly meanMsAfter: number | null;
  /** Relative change after drift was taken out; null when it cannot be computed. */
  readonly change: number | null;
  readonly interval: Interval | null;
  readonly callsBefore: number;
  readonly callsAfter: number;
  readonly blocksBefore: number;
  readonly blocksAfter: number;
  /** Why the outcome is what it is, in one sentence. */
  readonly reason: string;
}

/**
 * Which share of the table's updated rows made no entry in its indexes, because the new version stayed on its page (heap-only tuples). An index on a column that
 * is updated takes that away from every index of the table. It explains what writes pay and decides nothing: the time and the log they take are measured.
 */
export interface HotVerdict {
  /** From 0 to 1; null where no row was updated. */
  readonly shareBefore: number | null;
  readonly shareAfter: number | null;
  /** After minus before: −0.3 is thirty points less. Null until both sides have enough blocks with updates. */
  readonly change: number | null;
  /** Of that difference, from −1 to 1. */
  readonly interval: Interval | null;
}

/** What the statements that write the table pay, at their calls before the change. Everybody pays at once, whoever may read the index. */
export interface WriteVerdict {
  readonly outcome: Outcome;
  /** Of their time per call, after drift was taken out. */
  readonly change: number | null;
  readonly interval: Interval | null;
  /** Bytes for each row written; null where no row was, or the server does not count them (before 13). */
  readonly walPerRowBefore: number | null;
  readonly walPerRowAfter: number | null;
  /** Null where the table's counters were not read; absent in verdicts of earlier versions. */
  readonly hot?: HotVerdict | null;
}

export interface Verdict {
  readonly outcome: Outcome;
  readonly change: number | null;
  readonly interval: Interval | null;
  /** How traffic was split: `time` is before/after with untouched statements as control, `gate` side by side by transaction. */
  readonly exposure: "time" | "gate";
  readonly statements: readonly StatementVerdict[];
  /** Null where nothing writes the table; absent in verdicts of earlier versions. */
  readonly writes?: WriteVerdict | null;
  /** Relative change of the untouched statements, which was taken out; null when there were none. */
  readonly drift: number | null;
  readonly controlStatements: number;
  readonly reason: string;
}
