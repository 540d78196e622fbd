import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type {
  HypotheticalIndex,
  IndexDefinition,
  Statement,
  TableAccess,
  TableActivity,
} from "../../src/domain/index.ts";
import { type EmbeddedServer, startEmbedded } from "../../src/embedded/index.ts";
import { openSession, resolveConnection, type Session } from "../../src/postgres/index.ts";
import { createUpkeep, measureWriteCosts, type UpkeepInput, type WriteCosts } from "../../src/upkeep/index.ts";
import { access, bigTable, catalog, column, existing, statistics, table } from "../catalog.ts";

const entry = { ms: 0.01, walBytes: 100, buildMs: 0.001 };
const costs: WriteCosts = {
  insertMs: 0.05,
  lostHotMs: 0.02,
  rows: 100_000,
  entries: {
    btree: entry,
    "wide btree": { ...entry, ms: 0.02 },
    hash: entry,
    gin: { ...entry, ms: 0.1 },
    "text search": { ...entry, ms: 0.2 },
    gist: entry,
    spgist: entry,
    brin: { ...entry, ms: 0.001 },
  },
};

const activity: TableActivity = {
  inserts: 0,
  updates: 1_000,
  hotUpdates: 800,
  deletes: 0,
  sequentialScans: 0,
  modificationsSinceAnalyze: 0,
  analyzed: true,
  liveTuples: 100_000,
};

const writer = (verb: "insert" | "update", rows: number, totalMs: number | null = rows): Statement => ({
  id: verb,
  fingerprint: "f",
  queryId: "1",
  label: verb,
  text: "",
  verb,
  scope: { role: "app", searchPath: ["public"] },
  calls: rows,
  totalMs,
  rowsPerCall: 1,
  bindings: [],
});

const columns = [
  column("id"),
  column("a"),
  column("b"),
  column("maybe", { notNull: false, statistics: { ...statistics(9), nullFraction: 0.9 } }),
];

const index = (keys: readonly string[], changes: Partial<IndexDefinition> = {}): HypotheticalIndex => ({
  id: keys.join(),
  planName: "p",
  estimatedBytes: 1,
  definition: {
    table: table("t"),
    method: "btree",
    keys: keys.map((name) => ({ column: name, direction: "asc", nulls: "last" })),
    include: [],
    ...changes,
  },
});

const input = (
  statements: readonly (readonly [Statement, Partial<TableAccess>])[],
  changes: Partial<UpkeepInput> = {},
): UpkeepInput => ({
  catalog: catalog([bigTable("t", columns, { activity, indexes: [existing("pk", ["id"])] })]),
  workload: {
    source: "pg_stat_statements",
    observedFrom: new Date("2026-01-01T00:00:00Z"),
    observedTo: new Date("2026-01-01T12:00:00Z"),
    statements: statements.map(([statement]) => statement),
    declined: [],
  },
  accesses: new Map(statements.map(([statement, written]) => [statement.id, [access("t", written)]])),
  costs,
  ...changes,
});

const of = (given: UpkeepInput, one: HypotheticalIndex) => {
  const model = createUpkeep(given);
  if (model.kind === "free") throw new Error(model.reason);
  return model.of(one);
};

describe("what an index costs by being there", () => {
  // An INSERT of 0.06 ms is as fast as the measured one with its primary key: 0.05 + 0.01.
  const inserts = [writer("insert", 1_000, 60), { written: ["id", "a", "b", "maybe"] }] as const;
  const updates = [writer("update", 1_000), { written: ["b"] }] as const;

  it("is an entry for each inserted row", () => {
    const found = of(input([inserts]), index(["a"]));
    expect(found).toMatchObject({ entries: 1_000, lostHotUpdates: 0, walBytes: 100_000 });
    expect(found.ms).toBeCloseTo(10);
    expect(found.msPerDay).toBeCloseTo(20);
  });

  it("is an entry for each update off the page, where its columns are left alone", () => {
    const found = of(input([updates]), index(["a"]));
    expect(found.entries).toBeCloseTo(200);
    expect(found.lostHotUpdates).toBe(0);
  });

  it("is the lost way of HOT, in all indexes, where its columns are updated", () => {
    const found = of(input([updates]), index(["b"]));
    expect(found).toMatchObject({ entries: 1_000, lostHotUpdates: 800 });
    expect(found.ms).toBeCloseTo(1_000 * 0.01 + 800 * (0.02 + 0.01));
  });

  it.each<[string, HypotheticalIndex]>([
    ["payload", index(["a"], { include: ["b"] })],
    ["a predicate", index(["a"], { where: "(b = 1)" })],
    ["an expression", index([], { keys: [{ column: "a", direction: "asc", nulls: "last", expression: "(a || b)" }] })],
  ])("%s counts as its column does", (_, one) => {
    expect(of(input([updates]), one).lostHotUpdates).toBe(800);
  });

  it("is no loss of HOT for block ranges from 16 on", () => {
    const given = input([updates]);
    const server = { ...given.catalog.server, versionNum: 160_004 };
    const brin = index(["b"], { method: "brin" });
    expect(of({ ...given, catalog: { ...given.catalog, server } }, brin).lostHotUpdates).toBe(0);
    expect(of(given, brin).lostHotUpdates).toBe(800);
  });

  it("is less for a partial index, by the share of rows it holds", () => {
    expect(of(input([inserts]), index(["a"], { where: "(maybe IS NOT NULL)" })).entries).toBeCloseTo(100);
  });

  it("leaves out the one statement that filled the table", () => {
    const load = { ...writer("insert", 1), rowsPerCall: 100_000, id: "load" };
    expect(of(input([inserts, [load, inserts[1]]]), index(["a"])).entries).toBe(1_000);
  });

  it("is scaled to how long the target takes to insert a row", () => {
    const slow = [writer("insert", 1_000, 180), inserts[1]] as const;
    expect(of(input([slow]), index(["a"])).ms).toBeCloseTo(30);
  });

  it("counts what statements do not show at the rate of the table's own counters", () => {
    const busy = bigTable("t", columns, { activity: { ...activity, inserts: 148_000 }, tuples: 100_000 });
    const since = "2025-12-31T00:00:00Z";
    const given = input([inserts], { catalog: { ...catalog([busy]), activitySince: since } });
    // The rows that are there may have been loaded.
    expect(of(given, index(["a"])).entries).toBeCloseTo(48_000 / 3 + (1_000 / 3) * 0.2);
    expect(createUpkeep(given)).toMatchObject({ missing: null });
  });

  it("says that it does not know the counters' beginning, and leaves them alone", () => {
    const busy = bigTable("t", columns, { activity: { ...activity, inserts: 148_000 } });
    const given = input([inserts], { catalog: { ...catalog([busy]), activitySince: null } });
    expect(of(given, index(["a"])).entries).toBe(1_000);
    expect(createUpkeep(given)).toMatchObject({ missing: expect.stringContaining("not known") });
  });

  it("is not charged where statements bring no times, and that is said", () => {
    const model = createUpkeep(input([[writer("insert", 10, null), inserts[1]]]));
    expect(model).toMatchObject({ kind: "free", reason: expect.stringContaining("no write cost") });
  });
});

describe.each([15, 18])("measured on PostgreSQL %i", (major) => {
  let server: EmbeddedServer;
  let session: Session;
  beforeAll(async () => {
    server = await startEmbedded({ major, settings: { autovacuum: "off" } });
    session = await openSession(resolveConnection(server.url(), {}), "build");
  });
  afterAll(async () => {
    await session.close();
    await server.stop();
  });

  it("entries cost something, text search the most and block ranges next to nothing; nothing is left behind", async () => {
    const measured = await measureWriteCosts(session);
    const { entries } = measured;
    expect(measured.insertMs).toBeGreaterThan(0);
    expect(entries["text search"].ms).toBeGreaterThan(entries.brin.ms);
    expect(entries.btree.walBytes).toBeGreaterThan(entries.brin.walBytes);
    expect(entries["text search"].buildMs).toBeGreaterThan(entries.btree.buildMs);
    expect(await session.query("select from pg_namespace where nspname = 'indexpilot_upkeep'")).toEqual([]);
    expect(await measureWriteCosts(session)).toBe(measured);
  });
});
