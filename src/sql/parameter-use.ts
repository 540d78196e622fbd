import type { TableName } from "../domain/index.ts";

/**
 * What a parameter is compared with or given to. The comparisons are as seen from the column: `$1 < t.a` is `>` on `a`.
 * - `any`: `= any ($1)`, the value is an array
 * - `low`, `high`: the ends of BETWEEN
 * - `value`: whatever else
 */
export type ParameterOperator =
  | "="
  | "<>"
  | "<"
  | "<="
  | ">"
  | ">="
  | "in"
  | "any"
  | "like"
  | "ilike"
  | "low"
  | "high"
  | "limit"
  | "offset"
  | "set"
  | "insert"
  | "time unit"
  | "time zone"
  | "value";

/** Where a parameter `$n` stands, and so where a value for it can be drawn from. */
export interface ParameterUse {
  /** The column whose values it is compared with or stored in. */
  readonly column: (TableName & { readonly alias: string; readonly column: string }) | null;
  readonly operator: ParameterOperator;
  /** The type the text itself gives it (`date $1`, `$1::int`, `'{…}'::text[]` as `text[]`), without schema and modifiers. */
  readonly castTo: string | null;
  /**
   * How the literal must be written so that PostgreSQL gives it the right type there.
   * - `quoted`: it takes the type of what it meets
   * - `number`: bare, for quotes would be read as text (CASE results)
   * - `interval`: with its type in front (`now() - $1`)
   * - `addend`: `interval` where the column is a date or time, else `number`
   * - `element` of ARRAY[…]: bare where the column is a number, else `quoted`
   */
  readonly writeAs: "quoted" | "number" | "interval" | "addend" | "element";
}

export const unknownUse: ParameterUse = { column: null, operator: "value", castTo: null, writeAs: "quoted" };

const commuted: Readonly<Record<string, ParameterOperator>> = {
  "=": "=",
  "<>": "<>",
  "<": ">",
  "<=": ">=",
  ">": "<",
  ">=": "<=",
};

/** The comparison as seen from the column, or undefined where the operator is no comparison of order. */
export const comparison = (operator: string, columnSide: "left" | "right"): ParameterOperator | undefined => {
  const right = commuted[operator];
  if (right === undefined || columnSide === "right") return right;
  return commuted[right];
};

// The more telling use wins where a parameter is used several times.
const telling = (use: ParameterUse): number =>
  (use.column === null ? 0 : 4) + (use.operator === "value" ? 0 : 2) + (use.castTo === null ? 0 : 1);

export const moreTelling = (a: ParameterUse | undefined, b: ParameterUse): ParameterUse =>
  a === undefined || telling(b) > telling(a) ? b : a;
