/** A table's full name; the two parts are raw identifiers, never quoted. */
export interface TableName {
  readonly schema: string;
  readonly name: string;
}

/** One key of an index, in index order. */
export interface IndexKey {
  /** The column; for an expression, the first column that it reads. */
  readonly column: string;
  readonly direction: "asc" | "desc";
  /** PostgreSQL's default is `last` for `asc` and `first` for `desc`. */
  readonly nulls: "first" | "last";
  /** SQL of an expression as `pg_get_expr` writes it, e.g. `lower(email)`; absent for a plain column. */
  readonly expression?: string;
  /** Operator class where it is not the type's default, e.g. `text_pattern_ops`, `jsonb_path_ops`. */
  readonly opclass?: string;
  /** Where that is another schema than `pg_catalog`: it need not be on anybody's search path. */
  readonly opclassSchema?: string;
}

export type IndexMethod = "btree" | "hash" | "gin" | "gist" | "spgist" | "brin";

/** What an index is, apart from its name. Rendered to SQL only by `postgres/ddl.ts`. */
export interface IndexDefinition {
  readonly table: TableName;
  readonly method: IndexMethod;
  readonly keys: readonly IndexKey[];
  /** Payload columns of `INCLUDE`, in attribute order. */
  readonly include: readonly string[];
  /** SQL of a partial index's predicate as `pg_get_expr` writes it; absent for an index of all rows. */
  readonly where?: string;
  /** Where it is on trial: what keeps it from most statements (`sql/gate.ts`). */
  readonly gate?: TrialGate;
}

/** A part of what may use an index on trial. */
export type TrialGate =
  /** All rows, for statements that state the condition of this number. */
  | { readonly column: string; readonly number: number }
  /** Rows up to a value, for statements that ask for those: the tenants of a canary. `upTo` is SQL as the server writes the literal. */
  | { readonly column: string; readonly upTo: string };

/** An ascending key with PostgreSQL's default null order. */
export const ascending = (column: string): IndexKey => ({ column, direction: "asc", nulls: "last" });

/** An index as a person names it: `orders (customer_id, created_at desc) include (status)`, `orders using hash (address)`. */
export const describeIndex = (definition: IndexDefinition): string => {
  const keys = definition.keys.map(
    ({ expression, column, opclass, direction }) =>
      `${expression ?? column}${opclass === undefined ? "" : ` ${opclass}`}${direction === "desc" ? " desc" : ""}`,
  );
  const include = definition.include.length > 0 ? ` include (${definition.include.join(", ")})` : "";
  const { schema, name } = definition.table;
  const method = definition.method === "btree" ? "" : ` using ${definition.method}`;
  const where = definition.where === undefined ? "" : ` where ${definition.where}`;
  const gate =
    definition.gate === undefined
      ? ""
      : "number" in definition.gate
        ? ` behind gate ${String(definition.gate.number)}`
        : ` for ${definition.gate.column} <= ${definition.gate.upTo}`;
  return `${schema === "public" ? "" : `${schema}.`}${name}${method} (${keys.join(", ")})${include}${where}${gate}`;
};

/** Whether a B-tree offers all that another one does: it begins with the same keys and holds what that one includes. */
export const offersAllOf = (wider: IndexDefinition, narrower: IndexDefinition): boolean => {
  const holds = new Set([...wider.keys.map(({ column }) => column), ...wider.include]);
  return (
    wider.method === "btree" &&
    definitionId({ ...wider, keys: wider.keys.slice(0, narrower.keys.length), include: [] }) ===
      definitionId({ ...narrower, include: [] }) &&
    narrower.include.every((column) => holds.has(column))
  );
};

/** A canonical text for comparing definitions; not SQL. */
export const definitionId = (definition: IndexDefinition): string =>
  JSON.stringify([
    definition.table.schema,
    definition.table.name,
    definition.method,
    definition.keys.map((key) => [
      key.expression ?? key.column,
      key.direction,
      key.nulls,
      ...(key.expression === undefined && key.opclass === undefined
        ? []
        : [key.opclass ?? "", key.expression !== undefined]),
    ]),
    definition.include,
    ...(definition.where === undefined ? [] : [definition.where]),
    ...(definition.gate === undefined ? [] : [definition.gate]),
  ]);

/** `schema.name` with both parts JSON-escaped where needed: a map key, not SQL. */
export const tableId = (table: TableName): string => JSON.stringify([table.schema, table.name]);
