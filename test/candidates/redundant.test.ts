import { describe, expect, it } from "vitest";
import { redundantIndexes, replacedIndexes } from "../../src/candidates/index.ts";
import { ascending, type ExistingIndex, type IndexDefinition, type Table } from "../../src/domain/index.ts";
import { bigTable, catalog, column, existing } from "../catalog.ts";

const dropped = (...indexes: ExistingIndex[]): string[] =>
  redundantIndexes(catalog([bigTable("t", [column("a"), column("b")], { indexes })])).map(
    (drop) => `${drop.index.name}: ${drop.code}`,
  );

describe("redundant indexes", () => {
  it("a strict prefix of another index goes", () => {
    expect(dropped(existing("short", ["a"]), existing("long", ["a", "b"]))).toEqual(["short: redundant_prefix"]);
  });

  it("of two duplicates exactly one goes, the larger", () => {
    expect(dropped(existing("one", ["a"]), existing("two", ["a"], { sizeBytes: 9_000_000 }))).toEqual([
      "two: duplicate",
    ]);
  });

  it("of three duplicates one stays", () => {
    expect(dropped(existing("one", ["a"]), existing("two", ["a"]), existing("three", ["a"]))).toHaveLength(2);
  });

  it("a duplicate of the primary key goes, never the key", () => {
    const key = existing("pk", ["a"], { primary: true, unique: true, constraint: "pk", sizeBytes: 9_000_000 });
    expect(dropped(key, existing("copy", ["a"]))).toEqual(["copy: duplicate"]);
  });

  it("names the index that covers", () => {
    const [drop] = redundantIndexes(
      catalog([bigTable("t", [column("a")], { indexes: [existing("short", ["a"]), existing("long", ["a", "b"])] })]),
    );
    expect(drop?.reason).toContain("long");
  });

  it.each<[string, Partial<ExistingIndex>]>([
    ["unique", { unique: true }],
    ["owned by a constraint", { constraint: "c" }],
    ["the replica identity", { replicaIdentity: true }],
    ["clustered on", { clustered: true }],
    ["owned by an extension", { extensionOwned: true }],
    ["invalid, perhaps being built", { valid: false }],
    ["partial", { predicate: "b > 0" }],
    ["of another operator class", { plainKeys: false }],
    ["part of a partitioned index", { parentOid: 77 }],
    ["not a B-tree", { method: "hash" }],
    ["covering more than the other", { include: ["c"] }],
    ["in another direction of nulls", { nulls: ["first"] }],
  ])("stays when it is %s", (_, changes) => {
    expect(dropped(existing("short", ["a"], changes), existing("long", ["a", "b"]))).toEqual([]);
  });

  it.each<[string, Partial<ExistingIndex>]>([
    ["invalid", { valid: false }],
    ["partial", { predicate: "b > 0" }],
    ["of another operator class", { plainKeys: false }],
  ])("stays when the longer one is %s", (_, changes) => {
    expect(dropped(existing("short", ["a"]), existing("long", ["a", "b"], changes))).toEqual([]);
  });
});

describe("indexes that a new one makes superfluous", () => {
  const created: IndexDefinition = {
    table: { schema: "public", name: "t" },
    method: "btree",
    keys: [ascending("a"), ascending("b")],
    include: [],
  };
  const replaced = (index: ExistingIndex, definition = created, changes: Partial<Table> = {}): string[] =>
    replacedIndexes(catalog([bigTable("t", [column("a"), column("b")], { indexes: [index], ...changes })]), [
      definition,
    ]).map((drop) => `${drop.index.name}: ${drop.code}`);

  it("are the beginnings of its keys", () => {
    expect(replaced(existing("short", ["a"]))).toEqual(["short: replaced"]);
  });

  it.each<[string, Partial<ExistingIndex>]>([
    ["unique", { unique: true }],
    ["a primary key's", { primary: true, unique: true, constraint: "pk" }],
    ["owned by a constraint", { constraint: "c" }],
    ["the replica identity", { replicaIdentity: true }],
    ["owned by an extension", { extensionOwned: true }],
    ["of a partition", { parentOid: 77 }],
    ["covering more", { include: ["c"] }],
  ])("never one that is %s", (_, changes) => {
    expect(replaced(existing("short", ["a"], changes))).toEqual([]);
  });

  it("never on a table that an extension manages", () => {
    expect(replaced(existing("short", ["a"]), created, { managedBy: "timescaledb" })).toEqual([]);
  });

  it("never by a partial index", () => {
    expect(replaced(existing("short", ["a"]), { ...created, where: "(b = 1)" })).toEqual([]);
  });
});
