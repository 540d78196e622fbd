export type Outcome = "better" | "worse" | "equivalent" | "undecided";

/** A two-sided interval for a relative change: −0.5 is half the time, +1 is twice. */
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

/** What the statements that write the table pay, at their calls before the change. Everybody pays at once, whoever may read the index. */
export interface WriteVerdict {
  readonly outcome: Outcome;
  /** Of their time per call, after drift was taken out. */
  readonly change: number | null;
  readonly interval: Interval | null;
  /** Bytes for each row written; null where no row was, or the server does not count them (before 13). */
  readonly walPerRowBefore: number | null;
  readonly walPerRowAfter: number | null;
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
