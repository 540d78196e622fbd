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
  /** Why plans that use certain indexes may differ, as far as we have found out; by plan shape or DDL. */
  readonly causes?: readonly { readonly index: RegExp; readonly cause: string }[];
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

/** Found by `gin_clean_pending_list`, after which the plans are the same. */
export const pendingEntries =
  "the length of a GIN index's pending list is in its metapage only, which an observer without pgstattuple cannot read";

/** Only an index tells the planner where a column ends, and asking the table would mean to read it. */
export const unknownEnd =
  "a range near the end of a column without an index: the built index tells the end, the histogram's is a sample's";
