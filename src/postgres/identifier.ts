import type { TableName } from "../domain/index.ts";

/**
 * A quoted SQL identifier. Always quoted, so that nothing depends on the list of keywords of one version.
 * @throws Error for an identifier that PostgreSQL cannot have (empty, or with a NUL).
 */
export const quoteIdentifier = (name: string): string => {
  if (name === "" || name.includes("\0")) throw new Error("an SQL identifier is neither empty nor holds NUL");
  return `"${name.replaceAll('"', '""')}"`;
};

/** `"schema"."name"`. */
export const quoteName = (name: TableName): string => `${quoteIdentifier(name.schema)}.${quoteIdentifier(name.name)}`;

/** A string literal that means the same under either setting of `standard_conforming_strings`. */
export const quoteLiteral = (value: string): string => {
  const escaped = value.replaceAll("'", "''");
  return escaped.includes("\\") ? `E'${escaped.replaceAll("\\", "\\\\")}'` : `'${escaped}'`;
};
