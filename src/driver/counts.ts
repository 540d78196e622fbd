import type { GateSkip } from "../sql/index.ts";

/** Why a statement of the treatment arm went out as it was. */
export type HookSkip =
  | GateSkip
  /** The connection has changed its search path, role or temporary tables, and the table stands there without its schema. */
  | "search path unclear"
  /** The name of the prepared statement has no room for the mark of the arm. */
  | "long statement name"
  /** A query object of the application with a name of its own. */
  | "named query object"
  /** The driver does not tell whether a transaction is open: node-postgres before 8.18, or its native binding. */
  | "transactions unknown"
  /** postgres.js: put together from fragments. */
  | "fragments"
  /** The server refused the text with the gate: the column or the right to read it is gone. */
  | "refused by the server";

/** What the hook did since it was installed. */
export interface HookCounts {
  readonly statements: number;
  readonly gated: number;
  /** Statements of the treatment arm that went out without the gate, or with a scan left without it, by reason. */
  readonly skipped: Readonly<Partial<Record<HookSkip, number>>>;
  /** Statements of which nothing is known: the parser was not ready, or there were too many new texts at once. */
  readonly unread: number;
  /** Errors inside of the hook; each time the statement went out as it was. */
  readonly failures: number;
}
