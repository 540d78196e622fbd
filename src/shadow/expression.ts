import type { Column, ColumnStatistics, IndexKey, Table } from "../domain/index.ts";
import { columnOf, widthOf } from "./btree-size.ts";

/** The type of an index's expression as the server resolved it. */
export interface ExpressionType {
  readonly type: string;
  /** `typlen`: negative where the length varies. */
  readonly bytes: number;
}

/** What ANALYZE found for the same expression in an index that is there already. */
const knownStatistics = (table: Table, expression: string): ColumnStatistics | null => {
  for (const index of table.indexes) {
    const known = index.expressionStatistics ?? [];
    const isOnly = index.keys.filter((key) => key === null).length === 1;
    if (isOnly && known.length === 1 && index.definition.includes(expression)) return known[0]?.statistics ?? null;
  }
  return null;
};

/** Functions whose value is about as long and as rare as their argument. */
const keepsLength = /^\(?(lower|upper|initcap|btrim|ltrim|rtrim|reverse|coalesce)\(/i;
const lengths: readonly (readonly [RegExp, number])[] = [
  [/^\(?md5\(/i, 33],
  [/^\(?(date_trunc|to_timestamp)\(/i, 8],
];
/** What a part of a text, or a member of a jsonb object, takes as a rule. */
const PART_BYTES = 12;

const widthOfExpression = (expression: string, type: ExpressionType, column: Column): number => {
  if (type.bytes > 0) return type.bytes;
  const known = lengths.find(([pattern]) => pattern.test(expression));
  if (known !== undefined) return known[1];
  return keepsLength.test(expression) ? widthOf(column) : Math.min(widthOf(column), PART_BYTES);
};

/**
 * A column that stands for an expression in size estimates: its width from the type or from the column that it reads, and as many values as that
 * column has.
 */
export const columnForExpression = (
  table: Table,
  key: IndexKey,
  expression: string,
  type: ExpressionType,
): Column & { readonly known: boolean } => {
  const column = columnOf(table, key.column);
  const measured = knownStatistics(table, expression);
  const argument = column.statistics ?? column.inheritedStatistics;
  const statistics: ColumnStatistics = measured ?? {
    inherited: false,
    nullFraction: argument?.nullFraction ?? 0,
    averageWidth: Math.max(1, Math.round(widthOfExpression(expression, type, column))),
    distinct: type.type === "bool" ? 2 : (argument?.distinct ?? 0),
    mostCommonValues: null,
    mostCommonFrequencies: null,
    histogramBounds: null,
    correlation: null,
    mostCommonElements: null,
    mostCommonElementFrequencies: null,
    elementCountHistogram: null,
  };
  return {
    ...column,
    baseType: type.type,
    maxBytes: type.bytes > 0 ? type.bytes : null,
    statistics,
    inheritedStatistics: null,
    known: measured !== null,
  };
};
