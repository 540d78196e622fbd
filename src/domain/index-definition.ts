/** A table's full name; the two parts are raw identifiers, never quoted. */
export interface TableName {
  readonly schema: string;
  readonly name: string;
}

/** One key column of an index, in index order. */
export interface IndexKey {
  readonly column: string;
  readonly direction: "asc" | "desc";
  /** PostgreSQL's default is `last` for `asc` and `first` for `desc`. */
  readonly nulls: "first" | "last";
}

/** What an index is, apart from its name. Rendered to SQL only by `postgres/ddl.ts`. */
export interface IndexDefinition {
  readonly table: TableName;
  readonly method: "btree";
  readonly keys: readonly IndexKey[];
  /** Payload columns of `INCLUDE`, in attribute order. */
  readonly include: readonly string[];
}

/** An ascending key with PostgreSQL's default null order. */
export const ascending = (column: string): IndexKey => ({ column, direction: "asc", nulls: "last" });

/** A canonical text for comparing definitions; not SQL. */
export const definitionId = (definition: IndexDefinition): string =>
  JSON.stringify([
    definition.table.schema,
    definition.table.name,
    definition.method,
    definition.keys.map((key) => [key.column, key.direction, key.nulls]),
    definition.include,
  ]);

/** `schema.name` with both parts JSON-escaped where needed: a map key, not SQL. */
export const tableId = (table: TableName): string => JSON.stringify([table.schema, table.name]);
