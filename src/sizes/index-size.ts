import { type Column, type IndexDefinition, type Table, unseenExpression } from "../domain/index.ts";
import { quoteIdentifier } from "../postgres/index.ts";
import { estimateBrinSize } from "./brin-size.ts";
import { PAGE_BYTES } from "./page.ts";
import { columnOf, currentRows, estimateBtreeSize } from "./btree-size.ts";
import { columnForExpression, type ExpressionType } from "./expression.ts";
import { estimateGinSize, type GinContents } from "./gin-size.ts";
import { estimateGistPages, estimateSpgistPages } from "./gist-size.ts";
import { estimateHashPages } from "./hash-size.ts";

/** What the table's statistics alone do not tell. */
export interface SizeFacts {
  /** Rows that the predicate lets in; null without a predicate. */
  readonly rows: number | null;
  /** Of the keys that are expressions, in order. */
  readonly expressionTypes: readonly ExpressionType[];
}

/** An index of any kind as CREATE INDEX would leave it. */
export interface IndexSize {
  readonly rows: number;
  readonly pages: number;
  readonly bytes: number;
  /** Levels above a B-tree's leaves; 0 for other methods, whose heights the planner takes from the size. */
  readonly height: number;
  /** For GIN: what the planner reads from the metapage. */
  readonly gin?: GinContents;
  /** For BRIN, likewise. */
  readonly revmapPages?: number;
  /** Why the estimate, and the plans with it, are less certain than others. */
  readonly uncertain?: string;
}

/** A column among the rows of a predicate that names it: without nulls, unless it asks for them. */
const amongRows = (column: Column, where: string | undefined): Column => {
  const { statistics } = column;
  if (where === undefined || statistics === null || statistics.nullFraction === 0) return column;
  const name = quoteIdentifier(column.name).replaceAll(/[^\w"]/g, String.raw`\$&`);
  if (!new RegExp(String.raw`(^|[^\w"])${name}(?![\w"])(?! IS NULL)`).test(where)) return column;
  const present = 1 - statistics.nullFraction;
  const frequencies = statistics.mostCommonFrequencies?.map((one) => one / present) ?? null;
  return { ...column, statistics: { ...statistics, nullFraction: 0, mostCommonFrequencies: frequencies } };
};

/**
 * The size of an index on a table with storage, whatever its method.
 * @throws Error when the definition names a column that the table does not have
 */
export const estimateIndexSize = (whole: Table, definition: IndexDefinition, facts: SizeFacts): IndexSize => {
  const table = { ...whole, columns: whole.columns.map((column) => amongRows(column, definition.where)) };
  const all = currentRows(table);
  const rows = Math.min(all, facts.rows ?? all);
  const expressions = new Map<number, Column>();
  let known = true;
  for (const [place, key] of definition.keys.entries()) {
    const type = facts.expressionTypes[expressions.size];
    if (key.expression === undefined || type === undefined) continue;
    const column = columnForExpression(table, key, key.expression, type);
    expressions.set(place, column);
    known &&= column.known;
  }
  const uncertain = known ? {} : { uncertain: unseenExpression };
  const keys = definition.keys.map((key, place) => ({
    column: expressions.get(place) ?? columnOf(table, key.column),
    ...(key.opclass === undefined ? {} : { opclass: key.opclass }),
  }));
  const [first] = keys;
  if (first === undefined) throw new Error("an index definition without keys");
  const sized = (pages: number): IndexSize => ({ rows, pages, bytes: pages * PAGE_BYTES, height: 0, ...uncertain });
  switch (definition.method) {
    case "btree":
      return { ...estimateBtreeSize(table, definition, { rows, expressions }), ...uncertain };
    case "hash":
      return sized(estimateHashPages(first.column, all, rows));
    case "gin": {
      const { pages, ...gin } = estimateGinSize(keys, rows, table.blocks);
      return { ...sized(pages), gin };
    }
    case "gist": {
      const include = definition.include.map((name) => columnOf(table, name));
      return sized(estimateGistPages(keys, include, rows));
    }
    case "spgist":
      return sized(estimateSpgistPages(first.column, rows));
    case "brin": {
      const { pages, revmapPages } = estimateBrinSize(
        keys.map((one) => one.column),
        table.blocks,
      );
      return { ...sized(pages), revmapPages };
    }
  }
};
