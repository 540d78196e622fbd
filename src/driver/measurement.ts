import type { Arm } from "./experiment.ts";

/** One statement as the application sent it, and how it fared. */
export interface Measurement {
  /** libpg_query's fingerprint of the original text, 16 hex digits; null for what was not read: no single statement, too long, or too many new ones. */
  readonly fingerprint: string | null;
  /** The experiment whose table it scans. */
  readonly experiment: string | null;
  /** What the unit was drawn for; null outside of experiments. */
  readonly arm: Arm | null;
  /**
   * What was drawn: the request or session, or the connection whose {@link transaction} it was. Null outside of experiments, and for slices of time, which all
   * processes share.
   */
  readonly unit: string | null;
  /** Which transaction of the unit, where each is drawn for itself; else null. */
  readonly transaction: number | null;
  /** Share of the units that the treatment got when it was drawn; null outside of experiments. */
  readonly share: number | null;
  /** Whether the gate was stated. In an arm that has one it can be missing, see {@link HookCounts.skipped}. */
  readonly gated: boolean;
  /**
   * Milliseconds from when the connection was free for it to the last answer; of a cursor or stream, to the first batch. On a pipelined connection,
   * from the end of the statement before.
   */
  readonly timeMs: number;
  /** As PostgreSQL's command tag has it; of cursors and streams, rows delivered. Null where there is no such number. */
  readonly rows: number | null;
  /** SQLSTATE of the error; `client` for one that did not come from the server. */
  readonly error: string | null;
}
