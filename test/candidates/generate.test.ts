import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { generateCandidates } from "../../src/candidates/index.ts";
import type { IndexDefinition, SortColumn, Table, TableAccess } from "../../src/domain/index.ts";
import { access, bigTable, catalog, column, existing, statistics, table } from "../catalog.ts";

const text = (definition: IndexDefinition): string => {
  const keys = definition.keys.map(
    (key) =>
      key.column +
      (key.direction === "desc" ? " desc" : "") +
      (key.nulls === (key.direction === "asc" ? "first" : "last") ? ` nulls ${key.nulls}` : ""),
  );
  return `(${keys.join(", ")})${definition.include.length > 0 ? ` include (${definition.include.join(", ")})` : ""}`;
};

const columns = [
  column("id", { statistics: statistics(-1) }),
  column("customer", { statistics: statistics(5_000) }),
  column("status", { statistics: statistics(5) }),
  column("created", { statistics: statistics(-0.9, 8) }),
  column("total", { statistics: statistics(900, 8) }),
  column("note", { type: "text", baseType: "text", maxBytes: null, statistics: statistics(-1, 300) }),
  column("place", { type: "point", baseType: "point", maxBytes: 16, ordered: false }),
];

const asked = (accesses: readonly TableAccess[], changes: Partial<Table> = {}, options = {}) => {
  const result = generateCandidates({
    statements: accesses.map((one, position) => ({ statementId: `s${String(position)}`, accesses: [one] })),
    catalog: catalog([bigTable("orders", columns, changes)]),
    ...options,
  });
  return {
    candidates: result.candidates.map((candidate) => text(candidate.definition)),
    declined: result.declined.map((one) => `${one.code} ${text(one.definition)}`),
    result,
  };
};

const by = (column: string, direction: "asc" | "desc" = "asc"): SortColumn => ({
  column,
  direction,
  nulls: direction === "asc" ? "last" : "first",
});

describe("candidates from one statement", () => {
  it.each<[string, Partial<TableAccess>, string[]]>([
    [
      "the most selective equality column comes first",
      { equality: ["status", "customer"] },
      ["(customer, status)", "(customer)", "(status)"],
    ],
    [
      "a range comes after the equalities",
      { equality: ["status"], range: ["created"] },
      ["(status, created)", "(created)"],
    ],
    ["only one range is a key", { range: ["created", "total"] }, ["(created)", "(total)"]],
    [
      "the sort order comes after the equalities",
      { equality: ["customer"], order: [by("created", "desc")], limited: true },
      ["(customer, created)"],
    ],
    [
      "a mixed sort keeps its directions, first key ascending",
      { order: [by("status", "desc"), by("created")] },
      ["(status, created desc)"],
    ],
    [
      "a column fixed by equality takes no part in the order",
      { equality: ["customer"], order: [by("customer"), by("created")] },
      ["(customer, created)"],
    ],
    [
      "the sort order comes right after single values, for behind IN or IS NULL it is none",
      {
        equality: ["customer", "status"],
        order: [by("created", "desc")],
        conditions: [
          { subject: { kind: "column", column: "customer" }, operator: "=", operands: null, joined: false },
          { subject: { kind: "column", column: "status" }, operator: "in", operands: null, joined: false },
        ],
      },
      ["(customer, status, created)", "(customer, created)"],
    ],
    [
      "a limited sort may be all of an index where nothing has a single value",
      {
        equality: ["status"],
        order: [by("created", "desc")],
        limited: true,
        conditions: [
          { subject: { kind: "column", column: "status" }, operator: "is null", operands: [], joined: false },
        ],
      },
      ["(created)"],
    ],
    ["grouping columns are keys", { group: ["status"] }, ["(status)"]],
    [
      "a join column stands alone and with the equalities, both ways",
      { equality: ["status"], join: ["customer"] },
      ["(customer)", "(customer, status)", "(status, customer)"],
    ],
    ["a join column can be followed by a range", { join: ["customer"], range: ["created"] }, ["(customer, created)"]],
    [
      "what else is read is included for an index-only scan",
      { equality: ["customer"], referenced: ["customer", "total"] },
      ["(customer)", "(customer) include (total)"],
    ],
  ])("%s", (_, changes, expected) => {
    expect(asked([access("orders", changes)]).candidates).toEqual(expect.arrayContaining(expected));
  });

  it("includes nothing when the whole row is read", () => {
    expect(asked([access("orders", { equality: ["customer"], referenced: null })]).candidates).toEqual(["(customer)"]);
  });

  it("keeps to the asked number of key columns", () => {
    const { candidates } = asked(
      [access("orders", { equality: ["customer", "status", "total"], range: ["created"] })],
      {},
      { maxColumns: 2 },
    );
    expect(candidates).toContain("(customer, created)");
    expect(candidates.every((one) => one.split(",").length <= 2)).toBe(true);
  });

  it("thinks of foreign keys that have no index, though no statement searches by them", () => {
    const child = bigTable("items", [column("order_id")], {
      oid: 2,
      foreignKeys: [{ name: "fk", columns: ["order_id"], referenced: table("orders"), referencedColumns: ["id"] }],
    });
    const { candidates } = generateCandidates({
      statements: [{ statementId: "delete order", accesses: [access("orders", { equality: ["id"] })] }],
      catalog: catalog([bigTable("orders", columns, { indexes: [existing("pk", ["id"])] }), child]),
    });
    expect(candidates.map((one) => [one.definition.table.name, text(one.definition), one.origins])).toEqual([
      ["items", "(order_id)", [{ statementId: "delete order", rule: "foreign-key" }]],
    ]);
  });
});

describe("plain B-trees only", () => {
  const plainly = (changes: Partial<TableAccess>, maxColumns = 3) =>
    asked([access("orders", changes)], {}, { kinds: "btree", maxColumns }).candidates;

  it("have what else is read behind their keys, for there is no INCLUDE", () => {
    expect(plainly({ equality: ["customer"], referenced: ["total", "customer"] })).toEqual([
      "(customer)",
      "(customer, total)",
    ]);
  });

  it("keep to the asked number of columns with it", () => {
    expect(plainly({ equality: ["customer"], referenced: ["total", "created", "customer"] }, 2)).toEqual([
      "(customer)",
    ]);
  });

  it("have nothing behind their keys that cannot be a key", () => {
    expect(plainly({ equality: ["status"], referenced: ["status", "note"] })).toEqual(["(status)"]);
    expect(plainly({ equality: ["status"], referenced: ["status", "place"] })).toEqual(["(status)"]);
  });

  it("pair any two columns by which rows are found", () => {
    const joined = { range: ["created"], join: ["customer"], referenced: null };
    expect(plainly(joined, 2).toSorted()).toEqual([
      "(created)",
      "(created, customer)",
      "(customer)",
      "(customer, created)",
    ]);
    expect(plainly(joined, 1).toSorted()).toEqual(["(created)", "(customer)"]);
  });
});

describe("a tiny table", () => {
  it("may have an index where it is joined, for it may be read once per row of the other side", () => {
    const tiny = { blocks: 1, tuples: 25 };
    expect(asked([access("orders", { equality: ["status"], join: ["customer"] })], tiny).candidates).toContain(
      "(customer)",
    );
    expect(asked([access("orders", { equality: ["status"] })], tiny).candidates).toEqual([]);
  });
});

describe("candidates shared by statements", () => {
  it("orders equality columns so that another statement finds its own first", () => {
    const { candidates } = asked([
      access("orders", { equality: ["customer", "status"] }),
      access("orders", { equality: ["status"] }),
    ]);
    expect(candidates).toContain("(status, customer)");
  });

  it("unites the included columns of two statements", () => {
    const { candidates } = asked([
      access("orders", { equality: ["customer"], referenced: ["customer", "total"] }),
      access("orders", { equality: ["customer"], referenced: ["customer", "created"] }),
    ]);
    expect(candidates).toContain("(customer) include (created, total)");
  });

  it("names every statement a candidate comes from", () => {
    const { result } = asked([access("orders", { equality: ["status"] }), access("orders", { range: ["status"] })]);
    expect(result.candidates[0]?.origins).toEqual([
      { statementId: "s0", rule: "equality" },
      { statementId: "s1", rule: "range" },
    ]);
  });
});

describe("what is never proposed", () => {
  const search = access("orders", { equality: ["customer"] });

  it.each<[string, Parameters<typeof existing>[1], Parameters<typeof existing>[2], boolean]>([
    ["the same index exists", ["customer"], {}, true],
    ["it is the beginning of an existing index", ["customer", "created"], {}, true],
    ["the existing one is read backwards", ["customer"], { directions: ["desc"], nulls: ["first"] }, true],
    ["a unique constraint has it", ["customer"], { unique: true, constraint: "u" }, true],
    ["the existing one is invalid", ["customer"], { valid: false }, false],
    ["the existing one is partial", ["customer"], { predicate: "status = 1" }, false],
    ["the existing one is a hash index", ["customer"], { method: "hash" }, false],
    ["the existing one has another operator class", ["customer"], { plainKeys: false }, false],
    ["the existing one has it second", ["created", "customer"], {}, false],
    ["the existing one begins with an expression", [null, "customer"], {}, false],
  ])("nothing again: %s", (_, keys, changes, isDeclined) => {
    const { candidates, declined } = asked([search], { indexes: [existing("there", keys, changes)] });
    expect(declined).toEqual(isDeclined ? ["exists (customer)"] : []);
    expect(candidates).toEqual(isDeclined ? [] : ["(customer)"]);
  });

  it.each([
    [
      "has to stay",
      { unique: true, constraint: "u" },
      [],
      ["exists (customer)", "same_keys (customer) include (total)"],
    ],
    ["may be replaced", {}, ["(customer) include (total)"], ["exists (customer)"]],
  ])("a covering index beside the same keys without payload, where that one %s", (_, changes, offered, refused) => {
    const { candidates, declined } = asked(
      [access("orders", { equality: ["customer"], referenced: ["customer", "total"] })],
      { indexes: [existing("there", ["customer"], changes)] },
    );
    expect(candidates).toEqual(offered);
    expect(declined.toSorted()).toEqual(refused);
  });

  it("a key without length limit, for a later long value would make the write fail", () => {
    const { candidates, declined } = asked([access("orders", { equality: ["note", "status"] })]);
    expect(candidates).toEqual(["(status)"]);
    expect(declined).toEqual(["unbounded_width (note)"]);
  });

  it("an included column without length limit", () => {
    const { candidates } = asked([access("orders", { equality: ["status"], referenced: ["status", "note"] })]);
    expect(candidates).toEqual(["(status)"]);
  });

  it("keys whose widths together exceed what a B-tree holds", () => {
    const wide = (name: string) =>
      column(name, { type: "character varying(400)", baseType: "varchar", maxBytes: 1_604 });
    const { candidates, declined } = generateCandidates({
      statements: [{ statementId: "s", accesses: [access("wide", { equality: ["a", "b"] })] }],
      catalog: catalog([bigTable("wide", [wide("a"), wide("b")])]),
    });
    expect(candidates.map((one) => text(one.definition))).toEqual(["(a)", "(b)"]);
    expect(declined.map((one) => [one.code, text(one.definition)])).toEqual([["unbounded_width", "(a, b)"]]);
  });

  it("numeric without precision counts as narrow where the statistics show ordinary numbers, and only there", () => {
    const numeric = (name: string, averageWidth: number) =>
      column(name, { type: "numeric", baseType: "numeric", maxBytes: null, statistics: statistics(-1, averageWidth) });
    const { candidates, declined } = generateCandidates({
      statements: [{ statementId: "s", accesses: [access("n", { range: ["ordinary", "huge"] })] }],
      catalog: catalog([bigTable("n", [numeric("ordinary", 6), numeric("huge", 900)])]),
    });
    expect(candidates.map((one) => text(one.definition))).toEqual(["(ordinary)"]);
    expect(declined.map((one) => text(one.definition))).toEqual(["(huge)"]);
  });

  it.each<[string, Partial<Table>, string]>([
    ["a tiny table", { blocks: 3, tuples: 200 }, "tiny_table"],
    ["a partitioned table of no size", { kind: "partitioned" }, "tiny_table"],
    ["a partition", { partitionBound: "for values in (1)" }, "partition"],
    ["a materialized view", { kind: "materialized view" }, "materialized_view_not_supported_yet"],
  ])("an index on %s", (_, changes, code) => {
    const { candidates, declined } = asked([search], changes);
    expect(candidates).toEqual([]);
    expect(declined).toEqual([`${code} (customer)`]);
  });

  it("a column whose type has no order", () => {
    expect(asked([access("orders", { equality: ["place"] })]).declined).toEqual(["not_ordered (place)"]);
  });

  it("more than the limit; the statements that weigh most keep theirs", () => {
    const statements = ["status", "customer", "created"].map((name, position) => ({
      statementId: name,
      weight: position,
      accesses: [access("orders", { equality: [name] })],
    }));
    const result = generateCandidates({ statements, catalog: catalog([bigTable("orders", columns)]), maxPerTable: 2 });
    expect(result.candidates.map((one) => text(one.definition))).toEqual(["(created)", "(customer)"]);
    expect(result.declined.map((one) => [one.code, text(one.definition)])).toEqual([["candidate_limit", "(status)"]]);
  });
});

describe("whatever the statements ask", () => {
  const names = columns.map((one) => one.name);
  const some = fc.uniqueArray(fc.constantFrom(...names), { maxLength: 4 });
  const anyAccess = fc
    .record({
      equality: some,
      range: some,
      join: some,
      group: some,
      limited: fc.boolean(),
      referenced: fc.option(some),
      order: fc.array(
        fc.record({
          column: fc.constantFrom(...names),
          direction: fc.constantFrom("asc" as const, "desc" as const),
          nulls: fc.constantFrom("first" as const, "last" as const),
        }),
        { maxLength: 3 },
      ),
    })
    .map((changes) => access("orders", changes));

  it("candidates are distinct, within bounds, made of columns that may be indexed, and not there already", () => {
    fc.assert(
      fc.property(fc.array(anyAccess, { maxLength: 4 }), fc.integer({ min: 1, max: 4 }), (accesses, maxColumns) => {
        const indexes = [existing("there", ["customer", "created"])];
        const { result, candidates } = asked(accesses, { indexes }, { maxColumns, maxPerTable: 40 });
        expect(new Set(result.candidates.map((one) => one.id)).size).toBe(candidates.length);
        expect(candidates.length).toBeLessThanOrEqual(40);
        for (const { definition, origins } of result.candidates) {
          const keys = definition.keys.map((key) => key.column);
          const all = [...keys, ...definition.include];
          expect(keys.length).toBeLessThanOrEqual(maxColumns);
          expect(new Set(all).size).toBe(all.length);
          expect(all).not.toContain("note");
          expect(keys).not.toContain("place");
          expect(origins.length).toBeGreaterThan(0);
        }
        expect(candidates).not.toContain("(customer)");
        expect(candidates).not.toContain("(customer, created)");
        expect(asked(accesses, { indexes }, { maxColumns, maxPerTable: 40 }).result).toEqual(result);
      }),
    );
  });
});
