import { beforeAll, describe, expect, it } from "vitest";
import { generateCandidates, replacedIndexes } from "../../src/candidates/index.ts";
import type { Catalog, Column, ColumnStatistics, IndexDefinition, Table } from "../../src/domain/index.ts";
import { renderCreateIndex } from "../../src/postgres/index.ts";
import { analyseAccess, loadParser, parseStatement } from "../../src/sql/index.ts";
import { bigTable, catalog, column, existing, statistics, table } from "../catalog.ts";

beforeAll(loadParser);

const text = (name: string, changes: Partial<Column> = {}): Column =>
  column(name, {
    type: "text",
    baseType: "text",
    maxBytes: null,
    collation: "default",
    statistics: statistics(-1, 40),
    ...changes,
  });
const common = (
  values: string,
  frequencies: readonly number[],
  changes: Partial<ColumnStatistics> = {},
): ColumnStatistics => ({
  ...statistics(frequencies.length),
  mostCommonValues: values,
  mostCommonFrequencies: frequencies,
  ...changes,
});

const columns = [
  column("id", { statistics: statistics(-1) }),
  column("customer", { statistics: statistics(5_000) }),
  column("tenant_id", { statistics: statistics(300) }),
  column("status", {
    type: "character varying(20)",
    baseType: "varchar",
    maxBytes: 84,
    statistics: common("{done,open}", [0.95, 0.05]),
  }),
  column("done", { type: "boolean", baseType: "bool", maxBytes: 1, statistics: common("{t,f}", [0.97, 0.03]) }),
  column("deleted_at", {
    type: "timestamp without time zone",
    baseType: "timestamp",
    maxBytes: 8,
    notNull: false,
    statistics: { ...statistics(900, 8), nullFraction: 0.3 },
  }),
  column("parent", { notNull: false, statistics: { ...statistics(900), nullFraction: 0.9 } }),
  column("created", {
    type: "timestamp without time zone",
    baseType: "timestamp",
    maxBytes: 8,
    statistics: { ...statistics(-1, 8), correlation: 0.99 },
  }),
  column("seen", {
    type: "timestamp with time zone",
    baseType: "timestamptz",
    maxBytes: 8,
    statistics: statistics(-1, 8),
  }),
  column("email", {
    type: "character varying(100)",
    baseType: "varchar",
    maxBytes: 404,
    collation: "default",
    statistics: statistics(-1, 30),
  }),
  text("note"),
  column("data", { type: "jsonb", baseType: "jsonb", maxBytes: null, statistics: statistics(-1, 90) }),
  column("raw", { type: "json", baseType: "json", maxBytes: null, ordered: false, statistics: statistics(-1, 90) }),
  column("tags", { type: "integer[]", baseType: "_int4", maxBytes: null, statistics: statistics(-1, 40) }),
  column("words", {
    type: "text[]",
    baseType: "_text",
    maxBytes: null,
    statistics: { ...statistics(-1, 40), mostCommonElements: "{a,bc}" },
  }),
  column("blobs", { type: "text[]", baseType: "_text", maxBytes: null, statistics: statistics(-1, 4_000) }),
  column("during", { type: "int4range", baseType: "int4range", maxBytes: null, statistics: statistics(-1, 17) }),
  column("search", { type: "tsvector", baseType: "tsvector", maxBytes: null, statistics: statistics(-1, 300) }),
  column("place", {
    type: "public.geometry",
    baseType: "geometry",
    maxBytes: null,
    ordered: false,
    statistics: statistics(-1, 32),
  }),
];

interface Asked {
  readonly candidates: readonly string[];
  readonly declined: readonly string[];
}

const shown = (definition: IndexDefinition): string =>
  renderCreateIndex(definition, null, { concurrently: false }).replace(/^create index on public\.t using /, "");

const asked = (sql: string | readonly string[], changes: Partial<Table> = {}, whole: Partial<Catalog> = {}): Asked => {
  const target: Catalog = {
    ...catalog([bigTable("t", columns, { tuples: 1_000_000, blocks: 20_000, ...changes })]),
    collate: "en_US.UTF-8",
    ...whole,
  };
  const result = generateCandidates({
    catalog: target,
    statements: [sql].flat().map((one, i) => {
      const parsed = parseStatement(one);
      if (parsed.kind === "unparsable") throw new Error(parsed.message);
      const { accesses } = analyseAccess(parsed.statement, (_, name) => {
        const found = target.tables.find((each) => each.name === name);
        return found && { schema: "public", name, columns: found.columns.map((each) => each.name) };
      });
      return { statementId: String(i), accesses };
    }),
  });
  return {
    candidates: result.candidates.map(({ definition }) => shown(definition)),
    declined: result.declined.map(({ code, definition }) => `${code}: ${shown(definition)}`),
  };
};

const where = (condition: string): string => `select * from t where ${condition}`;

describe("indexes of other kinds", () => {
  it.each<[string, string]>([
    ["customer = $1 and deleted_at is null", "btree (customer) where (deleted_at IS NULL)"],
    ["not done and customer = $1", "btree (customer) where (NOT done)"],
    ["not done order by created limit 5", "btree (created) where (NOT done)"],
    ["status = 'open' and customer = 5", "btree (customer) where ((status)::text = 'open'::text)"],
    [
      "status = 'open' and not done and customer = 5",
      "btree (customer) where (((status)::text = 'open'::text) AND (NOT done))",
    ],
    ["parent = $1", "btree (parent) where (parent IS NOT NULL)"],
    ["lower(email) = $1", "btree ((lower((email)::text)))"],
    ["tenant_id = $1 and lower(email) = $2", "btree ((lower((email)::text)), tenant_id)"],
    ["lower(note) = $1", "hash ((lower(note)))"],
    ["data ->> 'kind' = 'a'", "hash (((data ->> 'kind'::text)))"],
    ["date_trunc('day', created) = $1", "btree ((date_trunc('day'::text, created)))"],
    ["created::date = $1", "btree (((created)::date))"],
    [
      "date_trunc('day', seen at time zone 'UTC') = $1",
      "btree ((date_trunc('day'::text, (seen AT TIME ZONE 'UTC'::text))))",
    ],
    ["note = $1", "hash (note)"],
    ["data @> $1", "gin (data jsonb_path_ops)"],
    ["data ? 'key'", "gin (data)"],
    ["tags @> array[1]", "gin (tags)"],
    ["words && array['a']", "gin (words)"],
    ["search @@ to_tsquery($1)", "gin (search)"],
    ["to_tsvector('english', note) @@ to_tsquery('x')", "gin ((to_tsvector('english'::regconfig, note)))"],
    ["during && int4range(1, 2)", "gist (during)"],
    ["st_dwithin(place, $1, 5)", "gist (place)"],
    ["email like 'abc%'", "btree (email varchar_pattern_ops)"],
    ["note like 'abc%'", "spgist (note)"],
    ["created > $1", "brin (created)"],
  ])("%s", (condition, expected) => {
    expect(asked(where(condition)).candidates).toContain(expected);
  });

  it("trigrams answer what begins with anything, where the extension is there", () => {
    const extensions = [{ name: "pg_trgm", schema: "public", version: "1.6" }];
    expect(asked(where("note ilike '%abc%'"), {}, { extensions }).candidates).toEqual([
      "gin (note public.gin_trgm_ops)",
    ]);
    expect(asked(where("note ilike '%abc%'")).declined).toEqual(["extension_missing: gin (note gin_trgm_ops)"]);
    expect(asked(where("note ilike '%ab%'"), {}, { extensions }).candidates).toEqual([]);
  });

  it("under a collation that sorts by bytes, the plain index answers LIKE", () => {
    const { candidates } = asked(where("email like 'abc%'"), {}, { collate: "C" });
    expect(candidates).toEqual(["btree (email)"]);
  });

  it("a column that does not follow the table's order, or a small table, gets no block ranges", () => {
    expect(asked(where("seen > $1")).candidates).toEqual(["btree (seen)"]);
    expect(asked(where("created > $1"), { blocks: 500 }).candidates).toEqual(["btree (created)"]);
  });

  it("of statements that differ in their constant only, the constant is a parameter", () => {
    const statements = ["done", "open", "a", "b"].map((value) => where(`status = '${value}' and customer = 1`));
    expect(asked(statements).candidates.filter((one) => one.includes("::text"))).toEqual([]);
    expect(asked(statements.slice(1, 3)).candidates).toContain(
      "btree (customer) where ((status)::text = 'open'::text)",
    );
  });

  it("a value among many is no frequent constant", () => {
    const many = columns.map((one) =>
      one.name === "customer" ? { ...one, statistics: common("{7,8}", [0.01, 0.01], { distinct: 900 }) } : one,
    );
    const { candidates } = asked(where("customer = 7 and created > $1"), { columns: many });
    expect(candidates.join()).not.toContain("where");
  });

  it("a constant that most rows have is no reason for a partial index", () => {
    expect(asked(where("status = 'done' and customer = 1")).candidates.join()).not.toContain("where");
  });

  it("plain B-trees only, where that is asked for", () => {
    const access = asked(where("not done and customer = $1"));
    expect(access.candidates.some((one) => one.includes("where"))).toBe(true);
    const parsed = parseStatement(where("not done and customer = $1"));
    if (parsed.kind === "unparsable") throw new Error(parsed.message);
    const target = catalog([bigTable("t", columns)]);
    const { accesses } = analyseAccess(parsed.statement, () => ({
      schema: "public",
      name: "t",
      columns: columns.map((one) => one.name),
    }));
    const { candidates } = generateCandidates({
      catalog: target,
      statements: [{ statementId: "s", accesses }],
      kinds: "btree",
    });
    expect(candidates.map(({ definition }) => shown(definition))).toEqual([
      "btree (customer)",
      "btree (done)",
      "btree (customer, done)",
      "btree (done, customer)",
    ]);
  });
});

describe("what could make a write fail, or would not be used, is declined with its reason", () => {
  it.each<[string, string]>([
    ["note::int = 5", "may_raise: btree (((note)::int4))"],
    ["(data ->> 'n')::int = 5", "may_raise: btree ((((data ->> 'n'))::int4))"],
    ["(data ->> $1)::int = 5", "may_raise: btree ((((data ->> $n))::int4))"],
    ["raw ->> 'k' = 'x'", "may_raise: btree (((raw ->> 'k')))"],
    ["customer + 1 = 5", "may_raise: btree (((customer + 1)))"],
    ["seen at time zone note = $1", "unknown_expression: btree ((timezone(note, seen)))"],
    ["timezone(seen) = $1", "not_immutable: btree ((timezone(seen)))"],
    ["seen at time zone $1 = $2", "constant_unknown: btree ((timezone($n, seen)))"],
    ["seen::date = $1", "not_immutable: btree (((seen)::date))"],
    ["date_trunc('day', seen) = $1", "not_immutable: btree ((date_trunc('day', seen)))"],
    ["data ->> $1 = 'x'", "constant_unknown: btree (((data ->> $n)))"],
    ["date_trunc($1, created) = $2", "constant_unknown: btree ((date_trunc($n, created)))"],
    ["my_function(customer) = 1", "unknown_expression: btree ((my_function(customer)))"],
    ["note > 'x'", "unbounded_width: btree (note)"],
    ["blobs @> array['x']", "unbounded_width: gin (blobs)"],
  ])("%s", (condition, expected) => {
    const { candidates, declined } = asked(where(condition));
    expect(declined).toContain(expected);
    expect(candidates).toEqual([]);
  });
});

describe("whose rows they are", () => {
  it("the tenant's column comes first where several tables are searched by it", () => {
    const other = bigTable("o", [column("tenant_id"), column("kind", { statistics: statistics(4_000) })], { oid: 2 });
    const parsed = (sql: string) => {
      const one = parseStatement(sql);
      if (one.kind === "unparsable") throw new Error(one.message);
      return analyseAccess(one.statement, (_, name) => ({
        schema: "public",
        name,
        columns: name === "t" ? columns.map((each) => each.name) : ["tenant_id", "kind"],
      })).accesses;
    };
    const { candidates } = generateCandidates({
      catalog: catalog([bigTable("t", columns), other]),
      statements: [
        { statementId: "a", accesses: parsed("select * from t where tenant_id = $1 and customer = $2") },
        { statementId: "b", accesses: parsed("select * from o where tenant_id = $1 and kind = $2") },
      ],
    });
    const rules = new Map(candidates.map((one) => [shown(one.definition), one.origins.map((origin) => origin.rule)]));
    expect(rules.get("btree (tenant_id, customer)")).toContain("tenant");
  });
});

describe("partitioned tables and those of extensions", () => {
  it("are advised on the parent", () => {
    const parent = bigTable("t", columns, { kind: "partitioned", tuples: -1, blocks: 0, partitionKey: "RANGE (id)" });
    const part = bigTable("p", columns, {
      oid: 2,
      parents: [table("t")],
      partitionBound: "FOR VALUES FROM (1) TO (2)",
    });
    const accesses = [
      {
        table: table("t"),
        alias: "t",
        equality: ["customer"],
        range: [],
        join: [],
        order: [],
        group: [],
        limited: false,
        referenced: null,
        written: [],
      },
    ];
    const { candidates } = generateCandidates({
      catalog: catalog([parent, part]),
      statements: [{ statementId: "s", accesses }],
    });
    expect(candidates.map((one) => [shown(one.definition), one.definition.table.name, one.obstacle])).toEqual([
      ["btree (customer)", "t", undefined],
    ]);
  });
});

describe("existing indexes", () => {
  it("of the same kind, expression and predicate are not proposed again", () => {
    const indexes = [
      existing("g", ["data"], {
        method: "gin",
        definition: "CREATE INDEX g ON public.t USING gin (data jsonb_path_ops)",
        plainKeys: false,
      }),
      existing("l", [null], { definition: "CREATE INDEX l ON public.t USING btree (lower((email)::text))" }),
      existing("p", ["customer"], { predicate: "(deleted_at IS NULL)" }),
    ];
    expect(asked(where("data @> $1"), { indexes }).candidates).toEqual(["gin (data)"]);
    expect(asked(where("lower(email) = $1"), { indexes }).candidates).toEqual([]);
    expect(asked(where("customer = $1 and deleted_at is null"), { indexes }).declined).toContain(
      "exists: btree (customer) where (deleted_at IS NULL)",
    );
  });

  it("of all rows do not stand for a small partial one", () => {
    const indexes = [existing("c", ["created"])];
    expect(asked(where("not done order by created limit 5"), { indexes }).candidates).toContain(
      "btree (created) where (NOT done)",
    );
  });

  it("that were never scanned stay, and that is said", () => {
    const indexes = [
      existing("u", ["created"], { scans: 0 }),
      existing("k", ["id"], { scans: 0, primary: true, unique: true }),
    ];
    expect(asked(where("customer = 1"), { indexes }).declined).toEqual(["unused_not_proved: btree (created)"]);
  });

  it("are replaced by a new one that offers all they do, constraints never", () => {
    const indexes = [
      existing("narrow", ["customer"]),
      existing("unique", ["customer"], { unique: true }),
      existing("other", ["status"]),
      existing("paid", ["customer"], { include: ["email"] }),
    ];
    const target = catalog([bigTable("t", columns, { indexes })]);
    const key = (name: string) => ({ column: name, direction: "asc", nulls: "last" }) as const;
    const created: IndexDefinition = {
      table: table("t"),
      method: "btree",
      keys: [key("customer"), key("status")],
      include: [],
    };
    expect(replacedIndexes(target, [created]).map((drop) => [drop.code, drop.index.name])).toEqual([
      ["replaced", "narrow"],
    ]);
    expect(replacedIndexes(target, [{ ...created, where: "done" }])).toEqual([]);
  });
});
