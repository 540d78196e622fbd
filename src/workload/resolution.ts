import type { Catalog, Table, TableName } from "../domain/index.ts";
import { tableId } from "../domain/index.ts";
import { analyseAccess, type ParsedStatement, type StatementAccess, type TableLookup } from "../sql/index.ts";

/** The tables of a catalogue by name, for one search path. */
export interface Resolver {
  readonly lookup: TableLookup;
  readonly table: (name: TableName) => Table | undefined;
  /** Whether there is anything of that name: tables, views, and what belongs to the system. */
  readonly exists: (writtenName: string) => boolean;
  /** Whether an unqualified name means different tables under different search paths. */
  readonly isAmbiguous: (table: TableName) => boolean;
}

export const resolverFor = (catalog: Catalog, searchPath: readonly string[]): Resolver => {
  const tables = new Map(catalog.tables.map((table) => [tableId(table), table]));
  const views = new Set(catalog.views.map(tableId));
  const schemasOf = new Map<string, number>();
  for (const { name } of catalog.tables) schemasOf.set(name, (schemasOf.get(name) ?? 0) + 1);
  const schemas = (schema: string | null): readonly string[] => (schema === null ? searchPath : [schema]);

  const lookup: TableLookup = (schema, name) => {
    for (const candidate of schemas(schema)) {
      const id = tableId({ schema: candidate, name });
      // A view earlier in the path hides the table.
      if (views.has(id)) return undefined;
      const table = tables.get(id);
      if (table !== undefined) {
        return { schema: table.schema, name: table.name, columns: table.columns.map((column) => column.name) };
      }
    }
    return undefined;
  };
  return {
    lookup,
    table: (name) => tables.get(tableId(name)),
    exists: (writtenName) => {
      const dot = writtenName.indexOf(".");
      const schema = dot < 0 ? null : writtenName.slice(0, dot);
      const name = writtenName.slice(dot + 1);
      if (schema === "pg_catalog" || schema === "information_schema" || (schema === null && name.startsWith("pg_")))
        return true;
      return schemas(schema).some((candidate) => views.has(tableId({ schema: candidate, name })));
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
