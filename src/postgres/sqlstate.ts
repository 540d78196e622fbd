/**
 * SQLSTATE codes by what they mean for us. The one place that knows them (PostgreSQL documentation, appendix A);
 * nobody matches on message texts.
 */
export const SqlState = {
  connectionFailure: "08006",
  crashShutdown: "57P02",
  protocolViolation: "08P01",
  undefinedTable: "42P01",
  undefinedColumn: "42703",
  undefinedObject: "42704",
  undefinedSchema: "3F000",
  undefinedFunction: "42883",
  datatypeMismatch: "42804",
  invalidTableDefinition: "42P16",
  invalidObjectDefinition: "42P17",
  dependentObjectsStillExist: "2BP01",
  insufficientPrivilege: "42501",
  duplicateTable: "42P07",
  duplicateObject: "42710",
  duplicateSchema: "42P06",
  duplicateFunction: "42723",
  notNullViolation: "23502",
  uniqueViolation: "23505",
  lockNotAvailable: "55P03",
  queryCanceled: "57014",
  objectNotInPrerequisiteState: "55000",
  objectInUse: "55006",
  programLimitExceeded: "54000",
  diskFull: "53100",
  readOnlyTransaction: "25006",
  deadlockDetected: "40P01",
} as const;

/** The SQLSTATE of an error raised by the driver, or null when it did not come from the server. */
export const sqlStateOf = (error: unknown): string | null => {
  const code = (error as { code?: unknown } | null)?.code;
  // No class begins with E; the system's errors do, and EPIPE has five letters too.
  return typeof code === "string" && /^(?!E)[0-9A-Z]{5}$/.test(code) ? code : null;
};

export type SqlStateClass = "authentication" | "catalog" | "connection" | "resources" | "other";

/** Groups the codes that can answer a connection attempt. */
export const classifySqlState = (code: string): SqlStateClass => {
  if (code.startsWith("28")) return "authentication";
  if (code === "3D000") return "catalog";
  if (code.startsWith("08") || code === "57P01" || code === "57P02" || code === "57P03") return "connection";
  if (code.startsWith("53")) return "resources";
  return "other";
};
