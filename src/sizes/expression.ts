import type { Column, ColumnStatistics, IndexKey, Table } from "../domain/index.ts";
import { arrayElements } from "../postgres/index.ts";
import { columnOf, currentRows } from "./btree-size.ts";
import { widthOf } from "./tuple.ts";
import { memberSpread } from "./elements.ts";

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

const widthOfExpression = (expression: string, column: Column): number => {
  const known = lengths.find(([pattern]) => pattern.test(expression));
  if (known !== undefined) return known[1];
  return keepsLength.test(expression) ? widthOf(column) : Math.min(widthOf(column), PART_BYTES);
};

const DAY_MS = 86_400_000;
const member = /^\(?\w+ ->> '([^']+)'::text\)?$/;
const day = /^\(?(date\(|date_trunc\('day'|.*::date\)?$)/;

/** How many values an expression has, where its form and the column's statistics tell; null where not. */
const spreadOf = (
  table: Table,
  expression: string,
  column: Column,
): { readonly distinct: number; readonly bytes?: number } | null => {
  const [, name] = member.exec(expression) ?? [];
  if (name !== undefined && column.baseType === "jsonb") return memberSpread(column, name, currentRows(table));
  if (!day.test(expression)) return null;
  const bounds = arrayElements((column.statistics ?? column.inheritedStatistics)?.histogramBounds ?? "");
  // ISO texts, with a zone of whole hours as a rule; a day more or less does not matter.
  const [from, to] = [bounds[0], bounds.at(-1)].map((text) => Date.parse((text ?? "").slice(0, 10)));
  return from === undefined || to === undefined || Number.isNaN(to - from)
    ? null
    : { distinct: Math.max(1, (to - from) / DAY_MS) };
};

/**
 * A column that stands for an expression in size estimates: its width from the type or from the column that it reads, and as many values as that
 * column has, unless the expression's form tells otherwise.
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
  const spread = spreadOf(table, expression, column);
  const width = type.bytes > 0 ? type.bytes : (spread?.bytes ?? widthOfExpression(expression, column));
  const statistics: ColumnStatistics = measured ?? {
    inherited: false,
    nullFraction: argument?.nullFraction ?? 0,
    averageWidth: Math.max(1, Math.round(width)),
    distinct: type.type === "bool" ? 2 : (spread?.distinct ?? argument?.distinct ?? 0),
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
