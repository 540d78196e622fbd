import type { TableName } from "./index-definition.ts";

/** A sort key as a query asks for it. */
export interface SortColumn {
  readonly column: string;
  readonly direction: "asc" | "desc";
  readonly nulls: "first" | "last";
}

/** How one statement uses one table: all that candidate generation needs to know of the text. */
export interface TableAccess {
  readonly table: TableName;
  /** The name the query gives it. */
  readonly alias: string;
  /** Columns compared with `=` or `IN (…)` to something that does not come from this table's own row. */
  readonly equality: readonly string[];
  /** Columns compared with `<`, `<=`, `>`, `>=`, BETWEEN, or a left-anchored LIKE. */
  readonly range: readonly string[];
  /** Columns equated with another table's column. */
  readonly join: readonly string[];
  /** ORDER BY of the query level that reads this table, where every key is a column of it; empty otherwise. */
  readonly order: readonly SortColumn[];
  /** GROUP BY or DISTINCT columns, where all of them are this table's. */
  readonly group: readonly string[];
  readonly limited: boolean;
  /** Every column the statement reads of this table; null when that is the whole row (`select *`, `t.*`). */
  readonly referenced: readonly string[] | null;
  /** Columns an UPDATE sets; every column for INSERT. Empty for reads. */
  readonly written: readonly string[];
}
