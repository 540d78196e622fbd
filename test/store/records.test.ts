import { randomUUID } from "node:crypto";
import { beforeEach, describe, expect, test } from "vitest";
import type { Block, ExperimentVerdict, StatementCounters } from "../../src/domain/index.ts";
import { readServerIdentity } from "../../src/postgres/index.ts";
import {
  type CounterReading,
  observeDeployments,
  observeReading,
  openStore,
  type Store,
  type StoredStatement,
} from "../../src/store/index.ts";
import { withTarget } from "../rollout/fixtures/target.ts";
import { someDeployment } from "../rollout/fixtures/values.ts";

const now = new Date("2026-03-01T00:00:00Z");
const daysAgo = (days: number): Date => new Date(now.getTime() - days * 86_400_000);

const target = withTarget(18);
let store: Store;
let other: Store;

beforeEach(async () => {
  const name = "records";
  await target().database(name);
  const open = async (): Promise<Store> => {
    const session = await target().open(name, "builder");
    const opened = await openStore(session, { create: true, server: await readServerIdentity(session), now });
    if (opened === null) throw new Error("not created");
    return opened;
  };
  store = await open();
  other = await open();
});

describe("a deployment", () => {
  test("comes back as it was stored, hostile names included", async () => {
    const deployment = someDeployment({
      table: { schema: "public", name: 'we"ird; drop table x' },
      indexName: "'; drop schema indexpilot cascade; --",
      backend: { pid: 7, startedAt: "1700000000.123456" },
      predictedBytes: 5_000_000_000,
    });
    await store.deployments.insert(deployment, { event: "propose", actor: "ann" });
    expect(await other.deployments.get(deployment.id)).toEqual(deployment);
    expect(await other.deployments.findByIndexName(deployment.indexName)).toEqual([deployment]);
    expect(await other.deployments.get(randomUUID())).toBeNull();
  });

  test("changes its state for exactly one of two processes, with one history row", async () => {
    const deployment = someDeployment({ state: "approved" });
    await store.deployments.insert(deployment, { event: "propose", actor: "ann" });
    const step = { from: "approved", to: "building", event: "begin", actor: "indexpilot", at: now } as const;
    const results = await Promise.all([store, other].map((each) => each.deployments.transition(deployment.id, step)));
    expect(results.filter((result) => result !== null)).toHaveLength(1);
    const history = await store.deployments.history(deployment.id);
    expect(history.map((row) => [row.from, row.to, row.event])).toEqual([
      [null, "approved", "propose"],
      ["approved", "building", "begin"],
    ]);
  });

  test("learns what a step found out, and keeps the rest", async () => {
    const deployment = someDeployment({ state: "building", backend: { pid: 7, startedAt: "1.5" } });
    await store.deployments.insert(deployment, { event: "propose", actor: "ann" });
    const changed = await store.deployments.transition(deployment.id, {
      from: "building",
      to: "verifying",
      event: "built",
      actor: "indexpilot",
      at: now,
      detail: { buildMs: 12.5 },
      patch: { indexOid: 4711, sizeBytes: 3_000_000_000, buildMs: 12.5, backend: null },
    });
    expect(changed).toEqual({
      ...deployment,
      state: "verifying",
      indexOid: 4711,
      sizeBytes: 3_000_000_000,
      buildMs: 12.5,
      backend: null,
      updatedAt: now,
    });
    expect((await store.deployments.history(deployment.id)).at(-1)?.detail).toEqual({ buildMs: 12.5 });
  });

  test("counts towards the storage budget from its intention on, measured as soon as it is, until it is gone", async () => {
    const states = ["approved", "building", "verifying", "settled", "rolled_back", "failed"] as const;
    for (const state of states) {
      const sizeBytes = state === "verifying" ? 7 : null;
      await store.deployments.insert(someDeployment({ state, sizeBytes, predictedBytes: 100 }), {
        event: "propose",
        actor: "ann",
      });
    }
    expect(await store.deployments.ownedBytes()).toBe(100 + 7 + 100);
    expect(await store.deployments.list({ states: ["settled", "failed"] })).toHaveLength(2);
  });

  test("that was begun counts towards the builds of its table, once per beginning", async () => {
    const deployment = someDeployment({ state: "approved" });
    await store.deployments.insert(deployment, { event: "propose", actor: "ann" });
    const begin = { from: "approved", to: "building", event: "begin", actor: "indexpilot" } as const;
    await store.deployments.transition(deployment.id, { ...begin, at: daysAgo(2) });
    await store.deployments.transition(deployment.id, {
      ...begin,
      from: "building",
      event: "postpone",
      at: daysAgo(1),
    });
    await store.deployments.transition(deployment.id, {
      ...begin,
      from: "building",
      to: "approved",
      event: "yield",
      at: daysAgo(1),
    });
    await store.deployments.transition(deployment.id, { ...begin, at: now });
    expect(await store.deployments.buildsBegun(deployment.tableOid, daysAgo(3))).toEqual([daysAgo(2), now]);
    expect(await store.deployments.buildsBegun(deployment.tableOid, daysAgo(1))).toEqual([now]);
    expect(await store.deployments.buildsBegun(1, daysAgo(3))).toEqual([]);
  });
});

test("decisions come back newest first, by deployment", async () => {
  const id = randomUUID();
  for (const [code, deploymentId] of [
    ["a", id],
    ["b", null],
    ["c", id],
  ] as const) {
    await store.decisions.record({
      at: now,
      subject: "refuse",
      deploymentId,
      rule: "safeguards.x",
      outcome: "refused",
      code,
      reason: "because",
      inputs: { bytes: 1, nested: { list: [1, 2] } },
    });
  }
  expect((await store.decisions.list({ deploymentId: id })).map((each) => each.code)).toEqual(["c", "a"]);
  expect(await store.decisions.list({ limit: 1 })).toMatchObject([
    { code: "c", inputs: { bytes: 1, nested: { list: [1, 2] } } },
  ]);
});

test("the ledger of our own scans adds up, from several processes", async () => {
  await Promise.all(
    [store, other].map((each) =>
      each.scans.add(
        new Map([
          [20, 1],
          [10, 2],
          [30, 0],
        ]),
        now,
      ),
    ),
  );
  expect(await store.scans.read()).toEqual(
    new Map([
      [10, 4],
      [20, 2],
    ]),
  );
});

const counters = (calls: number): StatementCounters => ({
  calls,
  totalMs: calls * 1.5,
  stddevMs: calls > 1 ? 0.25 : null,
  rows: calls * 2,
  sharedBlocksHit: 3,
  sharedBlocksRead: 4,
  tempBlocks: 0,
  walBytes: 9_000_000_000,
});

const statement = (id: string, role = "app"): StoredStatement => ({
  id,
  fingerprint: "0123456789abcdef",
  queryId: "-42",
  label: `select ${id}`,
  text: "select * from orders where customer_id = $1",
  verb: "select",
  scope: { role, searchPath: ["app", 'pub"lic'] },
});

const block = (endedAt: Date, ...calls: readonly (readonly [string, number])[]): Block => ({
  startedAt: new Date(endedAt.getTime() - 60_000),
  endedAt,
  voidReason: null,
  statements: new Map(calls.map(([id, count]) => [id, counters(count)])),
});

describe("observed blocks", () => {
  test("come back with their statements, the void ones with their reason", async () => {
    const tables = new Map([[4711, { inserted: 3, updated: 20, hotUpdated: 19, deleted: 1 }]]);
    const first: Block = { ...block(daysAgo(2), ["s1", 5], ["s2", 1]), tables };
    const second: Block = { ...block(daysAgo(1), ["s1", 7]), voidReason: "statistics were reset" };
    await store.observations.saveBlock(first, [statement("s1"), statement("s2", "report")], 17);
    await other.observations.saveBlock(second, [statement("s1")], 17);
    const read = await store.observations.readBlocks();
    expect(read.blocks).toEqual(
      [first, { ...second, tables: new Map() }].map((each) => ({ ...each, node: "primary" })),
    );
    expect(read.statements).toEqual([statement("s1"), statement("s2", "report")]);
    const late = await store.observations.readBlocks({ from: daysAgo(1.5) });
    expect([late.blocks.length, late.statements.map((each) => each.id)]).toEqual([1, ["s1"]]);
    expect(await store.observations.readBlocks({ to: daysAgo(3) })).toEqual({ blocks: [], statements: [] });
  });

  test("come back with what is asked for of them alone, and shapes without any block", async () => {
    const written = { inserted: 3, updated: 0, hotUpdated: 0, deleted: 0 };
    const tables = new Map([4711, 4712].map((oid) => [oid, written]));
    const full: Block = { ...block(daysAgo(2), ["s1", 5], ["s2", 1]), tables };
    await store.observations.saveBlock(full, [statement("s1"), statement("s2", "report")], 17);
    await store.observations.saveBlock(block(daysAgo(1), ["s2", 4]), [statement("s2")], 17);
    const only = { statements: ["s1", "elsewhere"], table: 4711 };
    const { blocks, statements } = await store.observations.readBlocks({ only });
    // A block in which none of them was called is a block all the same.
    expect(blocks.map((one) => [[...one.statements.keys()], [...(one.tables ?? [])]])).toEqual([
      [["s1"], [[4711, written]]],
      [[], []],
    ]);
    expect(statements).toEqual([statement("s1")]);
    const { fingerprint } = statement("s2");
    expect(await store.observations.readStatements([fingerprint, "unknown"])).toEqual(
      expect.arrayContaining([statement("s2"), statement("s2", "report")]),
    );
    expect(await store.observations.readStatements([])).toEqual([]);
  });

  test("are stored whole or not at all", async () => {
    const half = block(now, ["s1", 1], ["unknown", 1]);
    expect(() => store.observations.saveBlock(half, [statement("s1")], 17)).toThrow("not handed over");
    const broken = block(now, ["s1", Number.NaN]);
    await expect(store.observations.saveBlock(broken, [statement("s1")], 17)).rejects.toMatchObject({ code: "22P02" });
    expect((await store.observations.readBlocks()).blocks).toEqual([]);
  });

  test("of thousands of statements are stored", async () => {
    const ids = Array.from({ length: 2500 }, (_, i) => `s${String(i).padStart(5, "0")}`);
    await store.observations.saveBlock(
      block(now, ...ids.map((id) => [id, 1] as const)),
      ids.map((id) => statement(id)),
      17,
    );
    const read = await store.observations.readBlocks();
    expect([read.blocks[0]?.statements.size, read.statements.length]).toEqual([2500, 2500]);
  });

  test("never take in statements from files, whose texts hold literals", () => {
    const fromFile = { ...statement("s1"), queryId: null };
    expect(() => store.observations.saveBlock(block(now, ["s1", 1]), [fromFile], 17)).toThrow("literals");
  });
});

/** With one window of evidence. Its verdict outlives that. */
const endedExperiment = async (days: number): Promise<void> => {
  const id = randomUUID();
  const nothing = { index: null, deploymentId: null, gate: null };
  const experiment = await store.experiments.insert({
    id,
    kind: "comparison",
    exposure: "gate",
    table: { schema: "public", name: "orders" },
    tableOid: 4711,
    control: nothing,
    treatment: nothing,
    stages: [0.1],
    stage: 0,
    stageAt: daysAgo(days + 1),
    unit: "transaction",
    metric: "mean",
    margin: 0.05,
    alpha: 0.05,
    blockMs: 1000,
    maxMs: 1000,
    state: "running",
    actor: "ada",
    evidence: null,
    deciding: null,
    winner: null,
    createdAt: daysAgo(days + 1),
    endedAt: null,
    endReason: null,
    verdict: null,
  });
  if (experiment === null) throw new Error("another experiment is open");
  const statements = new Map([["f", { calls: 1, totalMs: 1, rows: 1, latencies: new Map([[3, 1]]) }]]);
  await store.experiments.add(id, [{ arm: "control", slot: 7, share: 0.1, units: 1, failedUnits: 0, statements }]);
  for (const latencies of [true, false]) {
    const { windows } = await store.experiments.readWindows(id, { latencies });
    const found = windows[0]?.statements.get("f");
    expect([found?.calls, [...(found?.latencies ?? [])]]).toEqual([1, latencies ? [[3, 1]] : []]);
  }
  const verdict: ExperimentVerdict = {
    outcome: "undecided",
    change: null,
    interval: null,
    pages: null,
    errors: null,
    units: null,
    statements: [],
    soundBlocks: 1,
    voidBlocks: 0,
    reason: "too few windows",
  };
  const end = { state: "stopped", endedAt: daysAgo(days), endReason: "enough", verdict } as const;
  expect(await store.experiments.advance(experiment, end)).toMatchObject({ id, state: "stopped" });
  // Whoever knew it as it was before is told so.
  expect(await store.experiments.advance(experiment, end)).toBeNull();
};

test("what is past its time is removed, the rest is kept", async () => {
  for (const days of [100, 40, 20]) {
    await store.observations.saveBlock(
      block(daysAgo(days), [`s${String(days)}`, 1]),
      [statement(`s${String(days)}`)],
      17,
    );
  }
  await store.scans.add(new Map([[1, 1]]), daysAgo(401));
  await store.scans.add(new Map([[2, 1]]), daysAgo(399));
  for (const days of [40, 20]) await endedExperiment(days);
  expect(await store.retention.expire(now)).toEqual({
    block: 2,
    experiment_window: 1,
    experiment_follower: 0,
    statement: 1,
    decision: 0,
    scan_ledger: 1,
    circuit_breaker: 0,
    notice: 0,
    index_sample: 0,
    index_forecast: 0,
  });
  const left = await store.observations.readBlocks();
  expect([left.blocks.length, left.statements.map((each) => each.id)]).toEqual([1, ["s20"]]);
  expect(await store.retention.expire(now)).toEqual({
    block: 0,
    experiment_window: 0,
    experiment_follower: 0,
    statement: 0,
    decision: 0,
    scan_ledger: 0,
    circuit_breaker: 0,
    notice: 0,
    index_sample: 0,
    index_forecast: 0,
  });
});

test("how indexes fared is seen over a session that only observes, where its role may read it", async () => {
  const deployment = someDeployment();
  await store.deployments.insert(deployment, { event: "propose", actor: "ada" });
  const session = await target().open("records", "builder", "observe");
  const server = await readServerIdentity(session);
  const { kind, indexName, rationale, verdict } = deployment;
  expect(await observeDeployments(session, server)).toEqual([{ kind, indexName, rationale, verdict }]);
  expect(await observeDeployments(session, { ...server, databaseOid: 1 })).toEqual([]);
  const stranger = await target().open("records", "nobody_special", "observe");
  expect(await observeDeployments(stranger, server)).toBeNull();
});

describe("the counters at the last change", () => {
  const reading = (calls: number): CounterReading => ({
    takenAt: now,
    resetAt: daysAgo(3),
    rows: new Map([
      ["10:77", { counters: someCounters(calls), since: daysAgo(2) }],
      ["10:-5", { counters: { ...someCounters(1), stddevMs: null }, since: null }],
    ]),
  });
  const someCounters = (calls: number): StatementCounters => ({
    calls,
    totalMs: 0.1 + 0.2,
    stddevMs: 1e-3,
    rows: 2 ** 40,
    sharedBlocksHit: 1,
    sharedBlocksRead: 2,
    tempBlocks: 3,
    walBytes: 4,
  });

  test("come back as they were stored, and the later take the place of the earlier", async () => {
    expect(await store.readings.latest()).toBeNull();
    await store.readings.save(reading(1));
    await store.readings.save(reading(2));
    expect(await other.readings.latest()).toEqual(reading(2));
  });

  test("are read by who only observes, where he may", async () => {
    await store.readings.save(reading(1));
    const mine = await target().open("records", "builder");
    const server = await readServerIdentity(mine);
    expect(await observeReading(mine, server)).toEqual(reading(1));
    expect(await observeReading(mine, { ...server, systemIdentifier: "another" })).toBeNull();
    const stranger = await target().open("records", "stranger");
    expect(await observeReading(stranger, server)).toBeNull();
    await Promise.all([mine, stranger].map((session) => session.close()));
  });
});

test("looks at indexes are kept in full for 35 days, then one a day of each file for 400, and forecasts learn what came", async () => {
  const look = (at: Date, fileNode = 5, share: number | null = 0.2) => ({
    at,
    indexOid: 77,
    fileNode,
    sizeBytes: 10,
    neededBytes: 8,
    entries: 3,
    bloat: share === null ? null : ({ share, method: "statistics" } as const),
    scans: 1,
    replicaScans: { "r:1": 2 },
    tableWrites: 4,
    updates: 3,
    hotUpdates: 2,
  });
  const noon = (days: number): Date =>
    new Date(Math.floor(daysAgo(days).getTime() / 86_400_000) * 86_400_000 + 43_200_000);
  const later = (at: Date, hours: number): Date => new Date(at.getTime() + hours * 3_600_000);
  for (const days of [401, 50, 20]) {
    for (const hours of [0, 1, 2]) await store.samples.add([look(later(noon(days), hours))]);
  }
  await store.samples.add([look(later(noon(50), 3), 6)]);
  expect((await store.samples.since(daysAgo(500), [77])).get(77)?.length).toBe(10);
  expect(await store.retention.expire(now)).toMatchObject({ index_sample: 5 });
  const left = (await store.samples.since(daysAgo(500), [77])).get(77) ?? [];
  expect(left.map(({ at }) => at)).toEqual([
    noon(50),
    later(noon(50), 3),
    ...[0, 1, 2].map((hours) => later(noon(20), hours)),
  ]);
  expect(left[0]).toEqual(look(noon(50)));

  const said = { indexOid: 77, fileNode: 5, value: 0.3, low: 0.2, high: 0.4 };
  await store.samples.addForecasts([{ ...said, madeAt: daysAgo(9), dueAt: daysAgo(1.4) }]);
  await store.samples.addForecasts([{ ...said, madeAt: later(daysAgo(9), 2), dueAt: daysAgo(1.4) }]);
  // Nobody looked for a day and a half after it was due.
  await store.samples.addForecasts([{ ...said, madeAt: daysAgo(8), dueAt: daysAgo(1.6) }]);
  await store.samples.addForecasts([{ ...said, madeAt: daysAgo(1), dueAt: later(now, 150) }]);
  await store.samples.add([look(daysAgo(1), 5, null)]);
  expect(await store.samples.achieved(daysAgo(30))).toEqual([]);
  await store.samples.add([look(now, 5, 0.35)]);
  expect(await store.samples.achieved(daysAgo(30))).toEqual([
    { ...said, madeAt: daysAgo(9), dueAt: daysAgo(1.4), achieved: 0.35 },
  ]);
});

test("of all indexes only the looks are read back that tell of use and of rewrites", async () => {
  const looks = (
    indexOid: number,
    told: readonly (readonly [scans: number, replica: number | null, fileNode: number])[],
  ) =>
    told.map(([scans, replica, fileNode], i) => ({
      at: daysAgo(told.length - i),
      indexOid,
      fileNode,
      sizeBytes: 10,
      neededBytes: 8,
      entries: 3,
      bloat: { share: i / 10, method: "statistics" } as const,
      scans,
      replicaScans: replica === null ? {} : { "r:1": replica },
      tableWrites: 0,
      updates: 0,
      hotUpdates: 0,
    }));
  const told = async (): Promise<Record<number, readonly number[]>> =>
    Object.fromEntries(
      [...(await store.samples.tellingSince(daysAgo(50), 0.85))].map(([oid, samples]) => [
        oid,
        samples.map(({ at }) => (at.getTime() - now.getTime()) / 86_400_000),
      ]),
    );
  const all = [
    // Used at every look.
    looks(
      1,
      [1, 2, 3, 4, 5, 6].map((scans) => [scans, null, 7]),
    ),
    // Never used; above the threshold since the tenth look.
    looks(
      2,
      Array.from({ length: 12 }, () => [0, null, 7]),
    ),
    // Another server counts since the fourth day, from nothing; a replica has long been idle.
    looks(3, [
      [5, null, 7],
      [6, null, 7],
      [6, 2, 7],
      [0, 3, 7],
      [0, 3, 7],
      [1, 3, 7],
      [1, 3, 7],
      [1, 3, 7],
    ]),
    // Rewritten.
    looks(
      4,
      [0, 0, 0, 1, 1, 1, 1].map((node) => [0, null, node]),
    ),
  ];
  for (const samples of all) for (const one of samples) await store.samples.add([one]);
  expect(await told()).toEqual({ 1: [-2, -1], 2: [-12, -3, -1], 3: [-6, -5, -4, -3, -1], 4: [-7, -5, -4, -1] });
  const full = await store.samples.since(daysAgo(50), [4]);
  expect([...full.keys(), full.get(4)?.length]).toEqual([4, 7]);
});
