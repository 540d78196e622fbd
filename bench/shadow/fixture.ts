import type { IndexDefinition, IndexKey, IndexMethod } from "../../src/domain/index.ts";

/** A hypothetical index and the queries to plan with it. */
export interface Pairs {
  readonly definition: IndexDefinition;
  readonly queries: readonly string[];
}

/** One filled database and what is asked of it. */
export interface Fixture {
  readonly name: string;
  /** Unquoted, in order. */
  readonly searchPath: readonly string[];
  /** Plans as this role: row-level security applies to it. */
  readonly role: string;
  /** DDL and server-side filling; `scale` multiplies the rows. */
  fill(scale: number): string;
  /** Run after `analyze`, with autovacuum off: about 30 % of the rows inserted, updated or deleted. */
  readonly change: string;
  readonly queries: readonly string[];
  readonly pairs: readonly Pairs[];
}

interface Options {
  readonly method?: IndexMethod;
  readonly include?: readonly string[];
  readonly where?: string;
}

type KeyText = string | IndexKey;

export const key = (column: string, rest: Partial<IndexKey> = {}): IndexKey => ({
  column,
  direction: "asc",
  nulls: rest.direction === "desc" ? "first" : "last",
  ...rest,
});

/** `pairs("public", "orders", ["status", key("placed_at", { direction: "desc" })], [query…])`. */
export const pairsIn =
  (schema: string) =>
  (table: string, keys: readonly KeyText[], queries: readonly string[], options: Options = {}): Pairs => ({
    definition: {
      table: { schema, name: table },
      method: options.method ?? "btree",
      keys: keys.map((one) => (typeof one === "string" ? key(one) : one)),
      include: options.include ?? [],
      ...(options.where === undefined ? {} : { where: options.where }),
    },
    queries,
  });
