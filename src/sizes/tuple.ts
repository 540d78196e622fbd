import type { Column, ColumnStatistics } from "../domain/index.ts";

/** What of a column's statistics a size depends on. */
export type SizedStatistics = Pick<
  ColumnStatistics,
  "nullFraction" | "averageWidth" | "distinct" | "mostCommonFrequencies"
>;

/** What of a column a size depends on. */
export interface SizedColumn extends Pick<Column, "baseType" | "maxBytes"> {
  readonly statistics: SizedStatistics | null;
  readonly inheritedStatistics: SizedStatistics | null;
  /** Bytes of some of its values, length word included, where they are known. */
  readonly widths?: readonly number[] | null;
}

export const LINE_POINTER_BYTES = 4;
export const TUPLE_HEADER_BYTES = 8;
/** Header plus null bitmap, aligned. */
export const NULL_TUPLE_HEADER_BYTES = 16;

export const UNKNOWN_WIDTH = 32;

export const align = (offset: number, boundary: number): number => Math.ceil(offset / boundary) * boundary;

const doubleAligned = new Set([
  "int8",
  "float8",
  "timestamp",
  "timestamptz",
  "time",
  "timetz",
  "interval",
  "money",
  "xid8",
  "pg_lsn",
]);
const byteAligned = new Set(["bool", "char", "uuid", "name"]);
const variableLength = new Set(["varchar", "bpchar", "bit", "varbit", "numeric", "inet", "cidr"]);

/** Types whose equal values may differ in their bytes, so that their operator class forbids posting lists (`equalimage`). */
const neverDeduplicated = new Set(["numeric", "float4", "float8", "jsonb", "interval", "citext", "ltree", "hstore"]);

export const deduplicates = (column: SizedColumn): boolean =>
  !neverDeduplicated.has(column.baseType) && !column.baseType.startsWith("_") && !column.baseType.endsWith("range");

const isVariable = (column: SizedColumn): boolean => column.maxBytes === null || variableLength.has(column.baseType);

export const statisticsOf = (column: SizedColumn): SizedStatistics | null =>
  column.statistics ?? column.inheritedStatistics;

/** Mean bytes of a value that is not null, as ANALYZE measured it or the type says. */
export const widthOf = (column: SizedColumn): number => {
  const average = statisticsOf(column)?.averageWidth;
  if (average !== undefined && average > 0) return average;
  return isVariable(column) ? Math.min(column.maxBytes ?? UNKNOWN_WIDTH, UNKNOWN_WIDTH) : (column.maxBytes ?? 4);
};

const boundaryOf = (column: SizedColumn, width: number): number => {
  // Values up to 126 bytes are packed with a one-byte length word, which needs no alignment.
  if (isVariable(column)) return width <= 127 ? 1 : 4;
  if (doubleAligned.has(column.baseType)) return 8;
  if (byteAligned.has(column.baseType)) return 1;
  return width % 4 === 0 ? 4 : width % 2 === 0 ? 2 : 1;
};

/** `char(n)` is padded: its width does not vary. */
export const varies = (column: SizedColumn): boolean => isVariable(column) && column.baseType !== "bpchar";

/** Where real widths lie about the mean that `pg_stats` cuts to a whole number, if nothing is known: at most ±2 bytes, less for short values. */
const spread = [-1, -0.5, 0, 0.5, 1];

/** Widths that stand for all of a column's. */
const widthsOf = (column: SizedColumn): readonly number[] => {
  const width = widthOf(column);
  const { widths } = column;
  if (widths !== undefined && widths !== null && widths.length > 0) {
    const mean = widths.reduce((sum, one) => sum + one, 0) / widths.length;
    // Those that are known may be shorter or longer than most.
    const shift = Math.abs(width + 0.5 - mean) > 3 ? width + 0.5 - mean : 0;
    return widths.map((one) => Math.max(1, one + shift));
  }
  return spread.map((one) => width + 0.5 + one * Math.min(2, width / 4));
};

/** Mean bytes of an index tuple without its line pointer: columns aligned in turn, averaged over the widths of the first that varies. */
export const tupleBytes = (columns: readonly SizedColumn[], header: number): number => {
  const variable = columns.find(varies);
  const widths = variable === undefined ? [0] : widthsOf(variable);
  let sum = 0;
  for (const one of widths) {
    let offset = 0;
    for (const column of columns) {
      const width = column === variable ? one : widthOf(column);
      offset = align(offset, boundaryOf(column, width)) + width;
    }
    sum += align(header + offset, 8);
  }
  return sum / widths.length;
};

export const nullFractionOf = (column: SizedColumn): number => statisticsOf(column)?.nullFraction ?? 0;

export const isNullable = (column: SizedColumn): boolean => nullFractionOf(column) > 0;

/** Which of the columns are null together, each with its probability (independent columns). */
export const nullPatterns = (
  columns: readonly SizedColumn[],
): { readonly probability: number; readonly nulls: Set<SizedColumn> }[] => {
  let patterns = [{ probability: 1, nulls: new Set<SizedColumn>() }];
  for (const column of columns) {
    const fraction = nullFractionOf(column);
    if (fraction === 0) continue;
    patterns = patterns
      .flatMap((pattern) => [
        { probability: pattern.probability * (1 - fraction), nulls: pattern.nulls },
        { probability: pattern.probability * fraction, nulls: new Set([...pattern.nulls, column]) },
      ])
      .filter((pattern) => pattern.probability > 1e-4);
  }
  return patterns;
};
