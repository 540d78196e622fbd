import { SqlState } from "../postgres/index.ts";

const reasons: Readonly<Record<string, string>> = {
  [SqlState.diskFull]: "the server's disk is full",
  "53400": "a limit of the server was reached (temp_file_limit)",
  [SqlState.programLimitExceeded]: "a value is too long for an index entry",
  [SqlState.deadlockDetected]: "the server ended it to resolve a deadlock",
  [SqlState.queryCanceled]: "somebody else cancelled it",
  [SqlState.insufficientPrivilege]: "the role may not: it needs the table owner's role and CREATE on the schema",
  [SqlState.readOnlyTransaction]: "the server or the role is read-only",
  [SqlState.lockNotAvailable]: "a lock was not available in time",
  [SqlState.undefinedTable]: "the table is gone",
  [SqlState.duplicateTable]: "a relation of the temporary name appeared in the meantime",
};

/** A failure for people and for the store. From the code, never from the server's message, which may quote values of rows. */
export const describeSqlState = (sqlState: string | null): string =>
  (sqlState === null ? undefined : reasons[sqlState]) ?? `the server answered with SQLSTATE ${sqlState ?? "unknown"}`;
