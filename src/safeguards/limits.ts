import { defaults } from "../config/index.ts";

/** The numbers the safeguards decide by. Configuration, not law. */
export interface SafeguardLimits {
  /** Total of the indexes we made, bytes. */
  readonly budgetBytes: number;
  /** Indexes a table may have in all, ours and others', the new one included. */
  readonly indexesPerTable: number;
  readonly buildsPerTablePerHour: number;
  /** A build waits for every transaction older than itself; it is not begun while one is older than this, milliseconds. */
  readonly oldestTransactionMs: number;
  /** How long a permit is good for: the act must begin within it, milliseconds. */
  readonly permitMs: number;
}

export const defaultLimits: SafeguardLimits = {
  budgetBytes: defaults.budgetBytes,
  indexesPerTable: defaults.indexesPerTable,
  buildsPerTablePerHour: defaults.buildsPerTablePerHour,
  // Longer than web requests and most batch steps take; a dump or a forgotten session is older.
  oldestTransactionMs: 60_000,
  // Enough to reach the DDL, too short for the answer to go stale.
  permitMs: 60_000,
};
