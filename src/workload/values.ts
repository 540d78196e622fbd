import type { Catalog, Column, ColumnStatistics } from "../domain/index.ts";
import { arrayElements } from "../postgres/index.ts";

const integers = new Set(["int2", "int4", "int8"]);
const numbers = new Set([...integers, "numeric", "float4", "float8"]);
const moments = new Set(["date", "timestamp", "timestamptz", "time", "timetz"]);
const texts = new Set(["text", "varchar", "bpchar", "char", "name", "citext"]);

export const isNumber = (type: string): boolean => numbers.has(type);
export const isMoment = (type: string): boolean => moments.has(type);

const spellings: Readonly<Record<string, string>> = {
  int: "int4",
  integer: "int4",
  smallint: "int2",
  bigint: "int8",
  decimal: "numeric",
  real: "float4",
  float: "float8",
  boolean: "bool",
  "double precision": "float8",
  character: "bpchar",
};

/** PostgreSQL's own name of a type. */
export const typeName = (written: string): string => spellings[written] ?? written;

/** Whether every value of the one type, as text, is good input for the other. */
export const readableAs = (from: string, to: string): boolean => {
  if (from === to || texts.has(to)) return true;
  if (isMoment(from) && isMoment(to)) return from !== "date" || to !== "time";
  if (integers.has(from)) return numbers.has(to) && (!integers.has(to) || to >= from);
  return isNumber(from) && isNumber(to) && !integers.has(to);
};

/** What is known of a column's values, in PostgreSQL's text form. */
export interface ColumnValues {
  /** Most common values with their share of the rows that are not null. */
  readonly common: readonly { readonly value: string; readonly share: number }[];
  /** Quantiles of all other values, ascending as the column's type sorts. */
  readonly bounds: readonly string[];
}

/** Null where the column was never analysed, or where this role may not see its statistics. */
export const columnValues = (column: Column): ColumnValues | null => {
  // A partitioned parent has rows of its own only in the sum over its partitions.
  const statistics = column.inheritedStatistics ?? column.statistics;
  if (statistics === null) return null;
  const values = { common: commonValues(statistics), bounds: arrayElements(statistics.histogramBounds ?? "{}") };
  return values.common.length + values.bounds.length === 0 ? null : values;
};

const commonValues = (statistics: ColumnStatistics): ColumnValues["common"] => {
  const notNull = Math.max(1 - statistics.nullFraction, Number.EPSILON);
  const values = arrayElements(statistics.mostCommonValues ?? "{}");
  return values.map((value, i) => ({
    value,
    share: (statistics.mostCommonFrequencies?.[i] ?? 0) / notNull,
  }));
};

/** A value as rows have it: `u` in [0, 1) runs through the common values by their share, then through the histogram. */
export const drawValue = ({ common, bounds }: ColumnValues, u: number): string => {
  const covered = common.reduce((sum, { share }) => sum + share, 0);
  const last = common.at(-1)?.value ?? "";
  let rest = bounds.length === 0 ? u * covered : u;
  for (const { value, share } of common) {
    if (rest < share) return value;
    rest -= share;
  }
  if (bounds.length === 0) return last;
  const outside = Math.max(1 - covered, Number.EPSILON);
  return bounds[Math.min(Math.floor((rest / outside) * bounds.length), bounds.length - 1)] ?? last;
};

/** All known values in ascending order: the histogram's, else the common ones. */
export const ascendingValues = ({ common, bounds }: ColumnValues, type: string): readonly string[] => {
  if (bounds.length > 1) return [...new Set(bounds)];
  const values = common.map(({ value }) => value);
  return values.sort(isNumber(type) ? (a, b) => Number(a) - Number(b) : (a, b) => (a < b ? -1 : a > b ? 1 : 0));
};

const plausible: Readonly<Record<string, string>> = {
  bool: "true",
  date: "2024-01-01",
  timestamp: "2024-01-01 00:00:00",
  timestamptz: "2024-01-01 00:00:00+00",
  time: "12:00",
  timetz: "12:00+00",
  interval: "1 day",
  uuid: "00000000-0000-4000-8000-000000000000",
  json: "{}",
  jsonb: "{}",
  inet: "127.0.0.1",
  cidr: "127.0.0.0/8",
  macaddr: "08:00:2b:01:02:03",
  macaddr8: "08:00:2b:01:02:03:04:05",
  bytea: String.raw`\x00`,
  bit: "1",
  varbit: "1",
  xml: "<a/>",
  point: "(0,0)",
  box: "(0,0),(1,1)",
  circle: "<(0,0),1>",
  line: "{1,0,0}",
  lseg: "[(0,0),(1,1)]",
  path: "[(0,0),(1,1)]",
  polygon: "((0,0),(1,1),(1,0))",
  tid: "(0,1)",
  pg_lsn: "0/0",
  regclass: "pg_class",
  regtype: "int4",
};

/** A value that is valid input for the type; '1' is one for numbers, texts and what we do not know. */
export const guessedValue = (type: string, enums: Catalog["enums"]): string => {
  if (type.endsWith("[]") || type.startsWith("_")) return "{}";
  if (/(range|multirange)$/.test(type)) return type.endsWith("multirange") ? "{}" : "empty";
  return plausible[type] ?? enums.find(({ name }) => name === type)?.labels[0] ?? "1";
};
