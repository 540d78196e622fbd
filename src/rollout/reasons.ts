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
  [SqlState.undefinedColumn]: "a column that it names is gone",
  [SqlState.undefinedFunction]: "a function or operator that it calls is gone",
  [SqlState.undefinedObject]: "a type, collation or operator class that it names is gone",
  [SqlState.undefinedSchema]: "a schema that it names is gone",
  [SqlState.datatypeMismatch]: "a column that it names has another type now",
  [SqlState.invalidObjectDefinition]: "a function that it calls is no longer immutable",
  [SqlState.invalidTableDefinition]: "the table has another primary key",
  [SqlState.dependentObjectsStillExist]: "other objects depend on the one that stands",
  [SqlState.uniqueViolation]: "rows of the table have the same key",
  [SqlState.notNullViolation]: "a column of the primary key may be null",
  [SqlState.duplicateTable]: "a relation of the temporary name appeared in the meantime",
};

/** A failure for people and for the store. From the code, never from the server's message, which may quote values of rows. */
export const describeSqlState = (sqlState: string | null): string =>
  (sqlState === null ? undefined : reasons[sqlState]) ?? `the server answered with SQLSTATE ${sqlState ?? "unknown"}`;
