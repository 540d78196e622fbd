import type { Catalog, Table, TableName } from "../domain/index.ts";
import { tableId } from "../domain/index.ts";
import {
  analyseAccess,
  type KnownTable,
  type ParsedStatement,
  type StatementAccess,
  type TableLookup,
} from "../sql/index.ts";

/** The tables of a catalogue by name, for one search path. */
export interface Resolver {
  readonly lookup: TableLookup;
  readonly table: (name: TableName) => Table | undefined;
  /** Whether there is anything of that name: tables, views, and what belongs to the system. */
  readonly exists: (writtenName: string) => boolean;
  /** Whether an unqualified name means different tables under different search paths. */
  readonly isAmbiguous: (table: TableName) => boolean;
}

/** The names of a catalogue, for any search path; each path is looked at once. */
export const resolversFor = (catalog: Catalog): ((searchPath: readonly string[]) => Resolver) => {
  const names = namesOf(catalog);
  const known = new Map<string, Resolver>();
  return (searchPath) => {
    const key = JSON.stringify(searchPath);
    const resolver = known.get(key) ?? resolverOver(names, searchPath);
    known.set(key, resolver);
    return resolver;
  };
};

interface Names {
  /** By schema and name. */
  readonly tables: ReadonlyMap<string, ReadonlyMap<string, Named>>;
  readonly views: ReadonlySet<string>;
  /** In how many schemas there is a table of a name. */
  readonly schemasOf: ReadonlyMap<string, number>;
}

interface Named {
  readonly table: Table;
  readonly known: KnownTable;
}

const namesOf = (catalog: Catalog): Names => {
  const tables = new Map<string, Map<string, Named>>();
  const schemasOf = new Map<string, number>();
  for (const table of catalog.tables) {
    const { schema, name, columns } = table;
    const inSchema = tables.get(schema) ?? new Map<string, Named>();
    tables.set(schema, inSchema.set(name, { table, known: { schema, name, columns: columns.map((one) => one.name) } }));
    schemasOf.set(name, (schemasOf.get(name) ?? 0) + 1);
  }
  return { tables, views: new Set(catalog.views.map(tableId)), schemasOf };
};

const resolverOver = ({ tables, views, schemasOf }: Names, searchPath: readonly string[]): Resolver => {
  const schemas = (schema: string | null): readonly string[] => (schema === null ? searchPath : [schema]);
  const isView = (schema: string, name: string): boolean => views.size > 0 && views.has(tableId({ schema, name }));
  const lookup: TableLookup = (schema, name) => {
    for (const candidate of schemas(schema)) {
      // A view earlier in the path hides the table.
      if (isView(candidate, name)) return undefined;
      const found = tables.get(candidate)?.get(name);
      if (found !== undefined) return found.known;
    }
    return undefined;
  };
  return {
    lookup,
    table: ({ schema, name }) => tables.get(schema)?.get(name)?.table,
    exists: (writtenName) => {
      const dot = writtenName.indexOf(".");
      const schema = dot < 0 ? null : writtenName.slice(0, dot);
      const name = writtenName.slice(dot + 1);
      if (schema === "pg_catalog" || schema === "information_schema" || (schema === null && name.startsWith("pg_")))
        return true;
      return schemas(schema).some((candidate) => isView(candidate, name));
    },
    isAmbiguous: ({ name }) => (schemasOf.get(name) ?? 0) > 1,
  };
};

export type Resolution =
  | { readonly kind: "resolved"; readonly access: StatementAccess }
  | { readonly kind: "declined"; readonly reason: string };

/** Finds the tables of a statement; one name that means nothing makes the whole statement useless to the planner. */
export const resolveStatement = (
  statement: ParsedStatement,
  resolver: Resolver,
  searchPath: readonly string[],
): Resolution => {
  const access = analyseAccess(statement, resolver.lookup);
  const missing = access.unresolved.filter((name) => !resolver.exists(name));
  if (missing.length === 0) return { kind: "resolved", access };
  const path = searchPath.length === 0 ? "an empty search path" : `search path ${searchPath.join(", ")}`;
  return { kind: "declined", reason: `there is no table or view ${missing.join(", ")} under ${path}` };
};
