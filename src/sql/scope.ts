import type { Node, RangeVar } from "@pgsql/types";
import type { RowCondition, SortColumn, TableName } from "../domain/index.ts";

/** What is known of a table: enough to resolve names. */
export interface KnownTable extends TableName {
  readonly columns: readonly string[];
}

/**
 * Resolves a table as the statement names it; with `schema === null` by the search path.
 * Undefined for what is not a table we know: a view, a foreign table, a table that is gone.
 */
export type TableLookup = (schema: string | null, name: string) => KnownTable | undefined;

/** One occurrence of a table in a statement, and what the statement asks of it; filled while reading. */
export interface Relation {
  readonly table: TableName;
  readonly alias: string;
  readonly columns: readonly string[];
  readonly equality: Set<string>;
  readonly range: Set<string>;
  readonly join: Set<string>;
  readonly referenced: Set<string>;
  readonly written: Set<string>;
  readonly conditions: RowCondition[];
  wholeRow: boolean;
  order: readonly SortColumn[];
  group: readonly string[];
  limited: boolean;
}

export const relation = (table: KnownTable, alias: string): Relation => ({
  table: { schema: table.schema, name: table.name },
  alias,
  columns: table.columns,
  equality: new Set(),
  range: new Set(),
  join: new Set(),
  referenced: new Set(),
  written: new Set(),
  conditions: [],
  wholeRow: false,
  order: [],
  group: [],
  limited: false,
});

/** A column of a table that an output column or a reference stands for. */
export interface Origin {
  readonly relation: Relation;
  readonly column: string;
}

/** A FROM item: a table, or something that delivers rows made of expressions. */
export interface Source {
  readonly alias: string;
  /** Column → the table's column it merely passes on, or null where it is computed. */
  readonly columns: ReadonlyMap<string, Origin | null>;
  /** True where it may have columns we do not know of (functions, views). */
  readonly open: boolean;
  /** Set where the item is a table itself. */
  readonly relation: Relation | null;
}

/** The names of WITH that can be seen; inner ones hide outer ones and tables. */
export interface Ctes {
  readonly sources: Map<string, Source>;
  readonly outer: Ctes | null;
}

/** The FROM items of one query level and what is around it. */
export interface Scope {
  readonly sources: Source[];
  readonly outer: Scope | null;
  readonly ctes: Ctes | null;
}

export const tableSource = (value: Relation): Source => ({
  alias: value.alias,
  columns: new Map(value.columns.map((column) => [column, { relation: value, column }])),
  open: false,
  relation: value,
});

export const openSource = (alias: string, columns: readonly string[] = []): Source => ({
  alias,
  columns: new Map(columns.map((column) => [column, null])),
  open: true,
  relation: null,
});

/** The same rows under another name, and other names for the first columns: `x as y (a, b)`. */
export const renamed = (source: Source, alias: string, names: readonly string[]): Source => ({
  ...source,
  alias,
  columns: new Map([...source.columns].map(([name, origin], i) => [names[i] ?? name, origin])),
});

export const findCte = (ctes: Ctes | null, name: string): Source | undefined => {
  for (let level = ctes; level !== null; level = level.outer) {
    const found = level.sources.get(name);
    if (found !== undefined) return found;
  }
  return undefined;
};

export type Resolved =
  | { readonly kind: "column"; readonly source: Source; readonly origin: Origin | null }
  | { readonly kind: "row"; readonly source: Source }
  | { readonly kind: "unknown" };

/** Resolves `column`, `alias.column` or `schema.table.column`, from the innermost level outwards. */
export const resolve = (scope: Scope, names: readonly string[]): Resolved => {
  const column = names.at(-1) ?? "";
  const qualifier = names.length > 1 ? names.at(-2) : undefined;
  const schema = names.length > 2 ? names.at(-3) : undefined;
  for (let level: Scope | null = scope; level !== null; level = level.outer) {
    if (qualifier !== undefined) {
      const source = level.sources.find(
        (item) => item.alias === qualifier && (schema === undefined || item.relation?.table.schema === schema),
      );
      if (source !== undefined) return { kind: "column", source, origin: source.columns.get(column) ?? null };
      continue;
    }
    const source =
      level.sources.find((item) => item.columns.has(column)) ??
      // Only one that may have further columns can be meant, unless the name is the item's own.
      (level.sources.some((item) => item.alias === column) ? undefined : level.sources.find((item) => item.open));
    if (source !== undefined) return { kind: "column", source, origin: source.columns.get(column) ?? null };
    const row = level.sources.find((item) => item.alias === column);
    if (row !== undefined) return { kind: "row", source: row };
  }
  return { kind: "unknown" };
};

/** The identifiers of a list of String nodes; other nodes (`*`, subscripts) are left out. */
export const namesOf = (nodes: readonly Node[] | undefined): readonly string[] =>
  (nodes ?? []).flatMap((node) => ("String" in node ? [node.String.sval ?? ""] : []));

export const isStar = (fields: readonly Node[] | undefined): boolean => {
  const last = fields?.at(-1);
  return last !== undefined && "A_Star" in last;
};

export const writtenName = (range: RangeVar): string =>
  range.schemaname === undefined ? (range.relname ?? "") : `${range.schemaname}.${range.relname ?? ""}`;
