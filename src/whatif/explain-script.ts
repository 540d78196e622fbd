import {
  addOwnScans,
  type OwnScans,
  ownScansSql,
  quoteIdentifier,
  type Session,
  SqlState,
  sqlStateOf,
} from "../postgres/index.ts";

/**
 * Plans are asked for inside a read-only transaction that is rolled back: whatever a text turns out to be, it changes nothing.
 * EXPLAIN without ANALYZE runs nothing; it takes the statement's own table locks (ACCESS SHARE for reads, ROW EXCLUSIVE for writes) until the
 * rollback, and needs the statement's own privileges.
 */
const begin = "begin transaction read only;";
const end = "rollback;";

/** EXPLAIN of one statement; the line break ends a trailing comment. */
export const explainText = (sql: string): string => `explain (format json) ${sql}\n;`;

/** Names resolve as they did for the observed role; an empty path resolves `pg_catalog` only. */
export const searchPathText = (schemas: readonly string[]): string =>
  `set local search_path to ${schemas.length === 0 ? "''" : schemas.map(quoteIdentifier).join(", ")};`;

/** A part of a script that stands on its own: its statements, and how to read their results. */
export interface ScriptPart<T> {
  readonly sql: string;
  readonly statements: number;
  readonly read: (results: readonly (readonly Record<string, unknown>[])[]) => T;
}

export type PartOutcome<T> =
  | { readonly kind: "read"; readonly value: T }
  | { readonly kind: "refused"; readonly reason: string };

/**
 * Runs many parts in one round trip. One error ends the whole script, so a failing script is halved until the culprits stand alone:
 * k of n failing cost about k·log₂(n) further trips. `ledger` is told which indexes planning itself scanned (the ends of columns).
 */
export const runParts = async <T>(
  session: Session,
  parts: readonly ScriptPart<T>[],
  ledger: OwnScans | null = null,
): Promise<PartOutcome<T>[]> => {
  if (parts.length === 0) return [];
  const reason = await tryParts(session, parts, ledger);
  if (typeof reason !== "string") return reason.map((value) => ({ kind: "read", value }));
  if (parts.length === 1) return [{ kind: "refused", reason }];
  const middle = Math.ceil(parts.length / 2);
  const first = await runParts(session, parts.slice(0, middle), ledger);
  return [...first, ...(await runParts(session, parts.slice(middle), ledger))];
};

const tryParts = async <T>(
  session: Session,
  parts: readonly ScriptPart<T>[],
  ledger: OwnScans | null,
): Promise<T[] | string> => {
  const counting = ledger === null ? [] : [ownScansSql];
  let results: Record<string, unknown>[][];
  try {
    results = await session.script([begin, ...counting, ...parts.map((part) => part.sql), ...counting, end].join("\n"));
  } catch (error) {
    const reason = refusalReason(error);
    if (reason === null) throw error;
    await session.script(end);
    return reason;
  }
  const expected = parts.reduce((sum, part) => sum + part.statements, 0);
  if (results.length !== expected + 2 * counting.length + 2) return "the text is not exactly one SQL statement";
  if (ledger !== null) addOwnScans(ledger, results[1] ?? [], results[expected + 2] ?? []);
  let position = 1 + counting.length;
  return parts.map((part) => {
    const own = results.slice(position, position + part.statements);
    position += part.statements;
    return part.read(own);
  });
};

// PostgreSQL's messages may quote values of the statement. Those of these states name only tables, columns, functions.
const tellable: ReadonlySet<string> = new Set([
  SqlState.undefinedTable,
  SqlState.undefinedFunction,
  SqlState.insufficientPrivilege,
]);

const refusalReason = (error: unknown): string | null => {
  const state = sqlStateOf(error);
  if (state === null) return null;
  if (state === SqlState.queryCanceled) return "planning took longer than the statement timeout";
  if (state === SqlState.lockNotAvailable) return "a lock on one of its tables was not to be had in time";
  const detail = tellable.has(state) && error instanceof Error ? `: ${error.message}` : "";
  return `PostgreSQL does not plan it (SQLSTATE ${state})${detail}`;
};
