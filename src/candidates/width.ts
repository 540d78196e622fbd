import type { Column } from "../domain/index.ts";

/**
 * The largest B-tree tuple on 8 KiB pages (`BTMaxItemSize`, nbtree.h, version 4): a write whose tuple is larger fails with SQLSTATE 54000,
 * so an index that could need more would break the application, not only be useless.
 */
const largestTupleBytes = 2_704;

/** Tuple header and null bitmap. */
const tupleOverheadBytes = 16;

/**
 * `numeric` without precision has no bound in its type, yet takes two bytes for four decimal digits (PostgreSQL documentation, "Numeric
 * Types"): more than 5,000 digits would be needed to fill a tuple. It counts as this wide where the statistics show ordinary numbers.
 */
const ordinaryNumericBytes = 512;
const ordinaryNumericAverage = 32;

/** The most bytes a stored value of this column can take, or null when nothing bounds it. */
const columnMaxBytes = (column: Column): number | null => {
  if (column.maxBytes !== null) return column.maxBytes;
  const average = column.statistics?.averageWidth;
  return column.baseType === "numeric" && average !== undefined && average <= ordinaryNumericAverage
    ? ordinaryNumericBytes
    : null;
};

/** Why an index over these columns could make a later write fail, or null when it cannot. */
export const widthProblem = (columns: readonly Column[]): string | null => {
  let bytes = tupleOverheadBytes;
  for (const column of columns) {
    const most = columnMaxBytes(column);
    if (most === null) {
      return `column ${column.name} (${column.type}) has no length limit: a value over ${String(largestTupleBytes)} bytes would make the write fail`;
    }
    bytes += Math.ceil(most / 8) * 8;
  }
  return bytes <= largestTupleBytes
    ? null
    : `the columns ${columns.map((column) => column.name).join(", ")} may take ${String(bytes)} bytes, and a B-tree holds ${String(largestTupleBytes)}: such a write would fail`;
};
