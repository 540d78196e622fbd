import type { TableName } from "../domain/index.ts";

// Every word that `pg_get_keywords()` of 14 to 18 does not call unreserved (a test compares it with the servers).
const keywords = new Set(
  `all analyse analyze and any array as asc asymmetric authorization between bigint binary bit boolean both
case cast char character check coalesce collate collation column concurrently constraint create cross
current_catalog current_date current_role current_schema current_time current_timestamp current_user dec
decimal default deferrable desc distinct do else end except exists extract false fetch float for foreign
freeze from full grant greatest group grouping having ilike in initially inner inout int integer intersect
interval into is isnull join json json_array json_arrayagg json_exists json_object json_objectagg json_query
json_scalar json_serialize json_table json_value lateral leading least left like limit localtime
localtimestamp merge_action national natural nchar none normalize not notnull null nullif numeric offset on
only or order out outer overlaps overlay placing position precision primary real references returning right
row select session_user setof similar smallint some substring symmetric system_user table tablesample then
time timestamp to trailing treat trim true union unique user using values varchar variadic verbose when
where window with xmlattributes xmlconcat xmlelement xmlexists xmlforest xmlnamespaces xmlparse xmlpi
xmlroot xmlserialize xmltable`.split(/\s+/),
);

/**
 * An SQL identifier as a person would write it: bare where that means the same on every supported version, quoted otherwise.
 * @throws Error for an identifier that PostgreSQL cannot have (empty, or with a NUL).
 */
export const quoteIdentifier = (name: string): string => {
  if (name === "" || name.includes("\0")) throw new Error("an SQL identifier is neither empty nor holds NUL");
  if (/^[a-z_][a-z0-9_]*$/.test(name) && !keywords.has(name)) return name;
  return `"${name.replaceAll('"', '""')}"`;
};

/** `schema.name`, each part quoted where it must be. */
export const quoteName = (name: TableName): string => `${quoteIdentifier(name.schema)}.${quoteIdentifier(name.name)}`;

/** A string literal that means the same under either setting of `standard_conforming_strings`. */
export const quoteLiteral = (value: string): string => {
  const escaped = value.replaceAll("'", "''");
  return escaped.includes("\\") ? `E'${escaped.replaceAll("\\", "\\\\")}'` : `'${escaped}'`;
};
