import { describe, expect, test } from "vitest";
import type { ExistingIndex, IndexSample, Table, TableActivity } from "../../src/domain/index.ts";
import {
  foreignKeyServedBy,
  isScanned,
  judgeIndexes,
  missingForeignKeyIndexes,
  PRIMARY,
  staleStatistics,
} from "../../src/maintenance/index.ts";
import { bigTable, column, existing } from "../catalog.ts";

const DAY_MS = 86_400_000;
const now = new Date(Date.UTC(2026, 5, 20));
const ago = (days: number): Date => new Date(now.getTime() - days * DAY_MS);

const sample = (days: number, scans: number, replicaScans: IndexSample["replicaScans"] = {}): IndexSample => ({
  at: ago(days),
  indexOid: 0,
  fileNode: 1,
  sizeBytes: 1,
  neededBytes: null,
  entries: null,
  bloat: null,
  scans,
  replicaScans,
  tableWrites: 0,
  updates: 0,
  hotUpdates: 0,
});

type Input = Parameters<typeof judgeIndexes>[0];

const standing = (index: ExistingIndex, changes: Partial<Input> = {}, table: Partial<Table> = {}): string | undefined =>
  judgeIndexes({
    tables: [bigTable("t", [column("a")], { indexes: [index], ...table })],
    redundant: [],
    nodes: [{ node: PRIMARY, since: ago(90), scans: new Map(), lastScan: new Map() }],
    standbys: 0,
    samples: new Map(),
    building: new Set(),
    onTrial: new Set(),
    isOurs: () => false,
    now,
    ...changes,
  })[0]?.standing;

const replica = (since: Date | null, scans: number, oid: number): Input["nodes"][number] => ({
  node: "r:1",
  since,
  scans: new Map(scans > 0 ? [[oid, scans]] : []),
  lastScan: new Map(),
});
const primary = (since: Date | null, oid?: number, last?: Date): Input["nodes"][number] => ({
  node: PRIMARY,
  since,
  scans: new Map(oid === undefined ? [] : [[oid, 3]]),
  lastScan: new Map(oid === undefined || last === undefined ? [] : [[oid, last]]),
});

describe("an index without scans", () => {
  const index = existing("i", ["a"]);
  const oid = index.oid;
  test.each<[string, Partial<Input>, string]>([
    ["is unused after 30 days over a month's end", {}, "unused"],
    ["is not proved unused before", { nodes: [primary(ago(29))] }, "unused_not_proved"],
    ["is not proved unused where nobody knows since when", { nodes: [primary(null)] }, "unused_not_proved"],
    [
      "is unused by our own looks alone",
      { nodes: [primary(null)], samples: new Map([[oid, [sample(40, 0), sample(0, 0)]]]) },
      "unused",
    ],
    [
      "is not proved unused where another server counted scans before a failover",
      { samples: new Map([[oid, [sample(40, 900), sample(20, 950), sample(10, 0), sample(0, 0)]]]) },
      "unused_not_proved",
    ],
    [
      "is unused long after a failover",
      { samples: new Map([[oid, [sample(60, 900), sample(50, 0), sample(0, 0)]]]) },
      "unused",
    ],
    [
      "is unused where the scans that went on are our own, which are left out",
      { samples: new Map([[oid, [sample(40, 3), sample(0, 5)]]]) },
      "unused",
    ],
    ["is not proved unused while a standby was not asked", { standbys: 1 }, "unused_not_proved"],
    ["is not proved unused while nobody may see the standbys", { standbys: null }, "unused_not_proved"],
    ["is used where a replica scans it", { standbys: 1, nodes: [primary(ago(90)), replica(ago(90), 1, oid)] }, "used"],
    [
      "is unused where the replica does not either",
      { standbys: 1, nodes: [primary(ago(90)), replica(ago(90), 0, oid)] },
      "unused",
    ],
    [
      "is not proved unused where the replica has just started",
      { standbys: 1, nodes: [primary(ago(90)), replica(ago(1), 0, oid)] },
      "unused_not_proved",
    ],
    [
      "is unused where our looks at the replica go back farther",
      {
        standbys: 1,
        nodes: [primary(ago(90)), replica(ago(1), 0, oid)],
        samples: new Map([[oid, [sample(40, 0, { "r:1": 0 }), sample(0, 0, { "r:1": 0 })]]]),
      },
      "unused",
    ],
  ])("%s", (_, changes, expected) => {
    expect(standing(index, changes)).toBe(expected);
  });

  test("needs more than 30 days where they hold no month's end", () => {
    const within = new Date(Date.UTC(2026, 4, 31, 12));
    const since = [primary(new Date(Date.UTC(2026, 4, 1)))];
    expect(standing(index, { now: within, nodes: since })).toBe("unused_not_proved");
    expect(standing(index, { now: new Date(Date.UTC(2026, 5, 1)), nodes: since })).toBe("unused");
  });
});

describe("an index with scans", () => {
  const index = existing("i", ["a"]);
  const { oid } = index;
  test.each<[string, Partial<Input>, string]>([
    ["is used", { nodes: [primary(ago(90), oid)] }, "used"],
    ["is used where the last is of this month", { nodes: [primary(ago(90), oid, ago(12))] }, "used"],
    [
      "is unused where the server says that the last is long ago",
      { nodes: [primary(ago(90), oid, ago(50))] },
      "unused",
    ],
    [
      "is used where our looks saw one a month",
      {
        nodes: [primary(ago(90), oid)],
        samples: new Map([[oid, [sample(80, 1), sample(50, 2), sample(20, 3), sample(0, 3)]]]),
      },
      "used",
    ],
    [
      "is unused where our looks saw none for long",
      { nodes: [primary(ago(90), oid)], samples: new Map([[oid, [sample(80, 2), sample(50, 3), sample(0, 3)]]]) },
      "unused",
    ],
  ])("%s", (_, changes, expected) => {
    expect(standing(index, changes)).toBe(expected);
  });
});

describe("the scans that a node counts", () => {
  test.each<[string, Input["nodes"][number], boolean]>([
    ["none", primary(ago(90)), false],
    ["of an unknown time", primary(null, 7), true],
    ["lately", primary(ago(90), 7, ago(3)), true],
    ["long ago", primary(ago(90), 7, ago(50)), false],
  ])("are use, or not: %s", (_, node, expected) => {
    expect(isScanned(node, 7, now)).toBe(expected);
  });
});

describe("an index that is never touched", () => {
  test.each<[string, Partial<ExistingIndex>, Partial<Table>]>([
    ["primary key", { primary: true, unique: true }, {}],
    ["unique", { unique: true }, {}],
    ["constraint", { constraint: "c" }, {}],
    ["exclusion", { exclusion: true, method: "gist" }, {}],
    ["replica identity", { replicaIdentity: true }, {}],
    ["an extension's", { extensionOwned: true }, {}],
    ["clustered", { clustered: true }, {}],
    ["a partition's part", { parentOid: 9 }, {}],
    ["of a managed table", {}, { managedBy: "citus" }],
  ])("%s", (_, changes, table) => {
    const index = existing("i", ["a"], changes);
    expect(standing(index, {}, table)).toBe("guarantee");
    expect(
      standing(
        index,
        { redundant: [{ index, table: { schema: "public", name: "t" }, code: "duplicate", reason: "" }] },
        table,
      ),
    ).toBe("guarantee");
  });
});

describe("an invalid index", () => {
  const index = existing("i", ["a"], { valid: false });
  test("is debris only where nothing is being built on its table, and that can be seen", () => {
    expect(standing(index)).toBe("invalid");
    expect(standing(index, { isOurs: () => true })).toBe("invalid_ours");
    expect(standing(index, { building: new Set([1]) })).toBe("being_built");
    expect(standing(index, { building: null })).toBe("being_built");
  });
  test("is no debris while it is on trial", () => {
    expect(standing(index, { onTrial: new Set([index.oid]) })).toBe("on_trial");
  });
});

describe("a foreign key", () => {
  const parent = { schema: "public", name: "p" };
  const key = { name: "fk", columns: ["a", "b"], referenced: parent, referencedColumns: ["x", "y"] };
  const missing = (index: ExistingIndex): number =>
    missingForeignKeyIndexes([bigTable("t", [column("a"), column("b")], { indexes: [index], foreignKeys: [key] })])
      .length;
  test.each<[string, ExistingIndex, number]>([
    ["in its order", existing("i", ["a", "b"]), 0],
    ["in another order, with more behind", existing("i", ["b", "a", "c"]), 0],
    ["not at the front", existing("i", ["c", "a", "b"]), 1],
    ["of some rows", existing("i", ["a", "b"], { predicate: "a > 1" }), 1],
    ["invalid", existing("i", ["a", "b"], { valid: false }), 1],
  ])("is served by an index %s or not", (_, index, expected) => {
    expect(missing(index)).toBe(expected);
  });

  const [one, other] = [existing("one", ["a", "b"]), existing("other", ["b", "a", "c"])];
  const child = bigTable("t", [column("a"), column("b")], { indexes: [one, other], foreignKeys: [key] });
  const counted = (changes: Partial<TableActivity> = {}): TableActivity => ({
    inserts: 0,
    updates: 0,
    hotUpdates: 0,
    deletes: 0,
    sequentialScans: 0,
    liveTuples: 0,
    modificationsSinceAnalyze: 0,
    analyzed: true,
    ...changes,
  });
  const partition = (name: string, of: string, activity: TableActivity): Table =>
    bigTable(name, [column("x")], { activity, parents: [{ schema: "public", name: of }] });
  const partitioned = (name: string, changes: Partial<Table> = {}): Table =>
    bigTable(name, [column("x")], { kind: "partitioned", ...changes });
  const served = (
    parents: readonly Table[],
    gone: readonly ExistingIndex[] = [one, other],
    since: Date | null = ago(90),
  ): string | undefined =>
    foreignKeyServedBy(
      { tables: [child, ...parents], activitySince: since === null ? null : since.toISOString() },
      child,
      new Set(gone.map(({ oid }) => oid)),
      now,
    )?.reason;

  test("keeps the last index that serves it, where its parent loses rows", () => {
    const losing = [bigTable("p", [column("x")], { activity: counted({ deletes: 5 }) })];
    expect([served(losing, [one]), served(losing, [other]), served(losing)]).toEqual([
      undefined,
      undefined,
      "5 were deleted",
    ]);
  });

  test.each<[string, readonly Table[], Date | null, string | undefined]>([
    ["nothing changed", [bigTable("p", [], { activity: counted() })], ago(90), undefined],
    ["keys may have changed", [bigTable("p", [], { activity: counted({ updates: 3 }) })], ago(90), "3 were updated"],
    [
      "no update changed a key",
      [bigTable("p", [], { activity: counted({ updates: 3, hotUpdates: 3 }) })],
      ago(90),
      undefined,
    ],
    [
      "partitions of partitions lost rows",
      [
        partitioned("p"),
        partitioned("q", { parents: [parent] }),
        partition("q1", "q", counted({ deletes: 2 })),
        partition("p1", "p", counted({ deletes: 1 })),
      ],
      ago(90),
      "3 were deleted",
    ],
    ["no partition did", [partitioned("p"), partition("p1", "p", counted())], ago(90), undefined],
    ["the counters were reset", [bigTable("p", [], { activity: counted() })], ago(3), "primary has counted for 3 days"],
    ["nobody knows since when", [bigTable("p", [], { activity: counted() })], null, "primary does not say since when"],
    ["it has no counters", [bigTable("p", [])], ago(90), "it has no counters"],
    ["it is not known", [], ago(90), "it has no counters"],
  ])("whose parent is asked about: %s", (_, parents, since, expected) => {
    const reason = served(parents, [one, other], since);
    if (expected === undefined) expect(reason).toBeUndefined();
    else expect(reason).toContain(expected);
  });

  test("without an index counts what the leaves of its parent lost, and unknown counters for nothing", () => {
    const bare = { ...child, indexes: [] };
    const deletes = (...parents: readonly Table[]): number | undefined =>
      missingForeignKeyIndexes([bare, ...parents])[0]?.parentDeletes;
    expect(deletes(partitioned("p"), partition("p1", "p", counted({ deletes: 7 })))).toBe(7);
    expect(deletes(bigTable("p", []))).toBe(0);
  });
});

describe("statistics", () => {
  test("are stale when a tenth of the rows changed, were never made, or nobody knows how old they are", () => {
    const activity = { inserts: 0, updates: 0, hotUpdates: 0, deletes: 0, sequentialScans: 0, liveTuples: 100_000 };
    const stale = (modificationsSinceAnalyze: number, analyzed = true, liveTuples = 100_000) =>
      staleStatistics([
        bigTable("t", [], { activity: { ...activity, modificationsSinceAnalyze, analyzed, liveTuples } }),
      ]);
    expect([stale(10_000), stale(11_000)]).toMatchObject([[], [{ changedShare: 0.11 }]]);
    // Loaded and analysed in one transaction: the counters have not heard of it yet.
    expect(stale(0, true, 0)).toMatchObject([{ changedShare: 1 }]);
    expect(stale(0, false)).toMatchObject([{ changedShare: null }]);
    expect(staleStatistics([bigTable("t", [], { tuples: -1 })])).toMatchObject([{ changedShare: null }]);
  });
});
