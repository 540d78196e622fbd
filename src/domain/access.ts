import type { TableName } from "./index-definition.ts";

/** A sort key as a query asks for it. */
export interface SortColumn {
  readonly column: string;
  readonly direction: "asc" | "desc";
  readonly nulls: "first" | "last";
}

/**
 * What an index could hold of one row, or compare it with, as the statement writes it: columns are the table's own, types are not resolved.
 * Functions and types are named without `pg_catalog`, other schemas in front.
 */
export type RowExpression =
  | { readonly kind: "column"; readonly column: string }
  /** `text` is every quoted literal, whatever type the server makes of it. */
  | { readonly kind: "constant"; readonly type: "text" | "number" | "boolean"; readonly value: string }
  /** `$n`, whose value the text does not tell. */
  | { readonly kind: "parameter" }
  | { readonly kind: "call"; readonly name: string; readonly arguments: readonly RowExpression[] }
  | {
      readonly kind: "operator";
      readonly operator: string;
      readonly left: RowExpression;
      readonly right: RowExpression;
    }
  | { readonly kind: "cast"; readonly argument: RowExpression; readonly type: string };

/** A condition that every row which the statement asks for satisfies. */
export interface RowCondition {
  /** The side that the row decides; one of its columns at least is in it. */
  readonly subject: RowExpression;
  /**
   * With the subject on the left: `=`, `<`, `@>`, `~~` (LIKE), `~~*` (ILIKE) and so on; `in`, `between`; without another side `is null`,
   * `is not null`, `is true`, `is false`; for a function that is itself the condition, `call`, with the function as subject.
   */
  readonly operator: string;
  /** The other side where the text itself holds it, a list for `in` and `between`; null for parameters and whatever must be computed. */
  readonly operands: readonly RowExpression[] | null;
  /** Whether the other side comes from another table. */
  readonly joined: boolean;
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
  /** What WHERE and ON ask of this table's rows, plain comparisons of columns included. Absent means none. */
  readonly conditions?: readonly RowCondition[];
}
