import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { Settings } from "../../src/config/index.ts";
import { type EmbeddedServer, startEmbedded } from "../../src/embedded/index.ts";
import { rebuiltOf, rule } from "../../src/pilot/index.ts";
import { openSession, readServerIdentity, resolveConnection, type Session } from "../../src/postgres/index.ts";
import { systemClock } from "../../src/runtime/index.ts";
import { openStore, type Store } from "../../src/store/index.ts";
import { until as untilSoon } from "../rollout/fixtures/target.ts";
import { type RunningDaemon, soon, startDaemon, toLead } from "./daemons.ts";

const HOUR_MS = 3_600_000;

/** A look at all indexes takes its time on a busy machine. */
const until = (what: string, condition: () => Promise<boolean>): Promise<void> => untilSoon(what, condition, 120_000);

/** A window of the next days that opens so many hours from now and is open for as many as said. */
const window = (inHours: number, hours: number): Settings["maintenanceWindows"] => {
  const time = (at: number): string => new Date(at).toISOString().slice(11, 16);
  const from = systemClock.now().getTime() + inHours * HOUR_MS;
  const days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"] as const;
  return [{ time_zone: "UTC", from: time(from), to: time(from + hours * HOUR_MS), days: [...days] }];
};

describe("a daemon of a bloated database", { timeout: 400_000 }, () => {
  let server: EmbeddedServer;
  let url: string;
  let admin: Session;
  let store: Store;
  const running: RunningDaemon[] = [];
  const sessions: Session[] = [];
  const open = async (to: string): Promise<Session> => {
    const session = await openSession(resolveConnection(to, {}), "build");
    sessions.push(session);
    return session;
  };

  beforeAll(async () => {
    server = await startEmbedded({ major: 18, settings: { autovacuum: "off" } });
    const session = await open(server.url());
    await session.query("create database bloated");
    await session.query("create database used");
    const inside = await open(server.url("bloated"));
    await inside.script(`create table t (id int primary key, value uuid);
      insert into t select n, gen_random_uuid() from generate_series(1, 120000) n; create index t_value on t (value);
      delete from t where id % 4 <> 0`);
    await inside.script("vacuum t");
    await inside.close();
    url = server.url("used");
  });

  /** A fresh copy, with a store in which nothing but looking and rolling out is due. */
  const fresh = async (): Promise<void> => {
    const session = await open(server.url());
    await session.query("drop database used");
    await session.query("create database used template bloated");
    admin = await open(url);
    await admin.script("create extension pg_stat_statements; analyze t");
    await until("the counts have arrived", async () => {
      const [row] = await admin.query<{ n: number }>(
        "select count(*)::int as n from pg_stat_all_tables where relname = 't' and last_analyze is not null",
      );
      return row?.n === 1;
    });
    const now = systemClock.now();
    const made = await openStore(await open(url), { create: true, server: await readServerIdentity(admin), now });
    if (made === null) throw new Error("the store was not made");
    store = made;
    for (const name of ["advise", "observe", "expire"]) {
      const dueAt = new Date(now.getTime() + HOUR_MS);
      await store.duties.save({ name, dueAt, endedAt: null, outcome: null, failures: 0 });
    }
  };
  afterEach(async () => {
    for (const daemon of running.splice(0)) {
      daemon.drain();
      await daemon.ended;
    }
    for (const session of sessions.splice(0)) await session.close();
  });
  afterAll(() => server.stop());

  const start = async (changes: Partial<Settings> = {}): Promise<RunningDaemon> => {
    const daemon = await startDaemon(url, { inspectEveryMs: 1_000, ...changes });
    running.push(daemon);
    await toLead(daemon);
    return daemon;
  };
  const end = async (daemon: RunningDaemon): Promise<void> => {
    daemon.drain();
    await daemon.ended;
  };
  /** A look that began after now. */
  const looked = async (daemon: RunningDaemon): Promise<void> => {
    for (let i = 0; i < 2; i += 1) {
      const before = daemon.standing.duties.get("inspect")?.endedAt ?? null;
      await until("it has looked", () =>
        Promise.resolve(daemon.standing.duties.get("inspect")?.endedAt?.getTime() !== before?.getTime()),
      );
    }
  };
  const states = async (): Promise<readonly string[]> =>
    (await store.deployments.list()).map(({ indexName, state }) => `${indexName} ${state}`).toSorted();
  const done = (count: number): Promise<void> =>
    until("it is rebuilt", async () => (await states()).filter((one) => one.endsWith("done")).length === count);
  const sizes = async (): Promise<readonly number[]> =>
    (
      await admin.query<{ bytes: number }>(
        "select pg_relation_size(indexrelid)::int as bytes from pg_index where indrelid = 't'::regclass order by indexrelid::regclass::text",
      )
    ).map(({ bytes }) => bytes);
  const pilot = () => {
    const target = resolveConnection(url, {});
    const { signal } = new AbortController();
    return { observe: target, build: target, settings: soon, clock: systemClock, signal, emit: () => undefined };
  };

  test("waits for the window, says so, and then rebuilds what is bloated; what came is kept beside what was foretold", async () => {
    await fresh();
    const before = await sizes();
    const early = await start({ maintenanceWindows: window(3, 1) });
    const refusals = async () => (await store.decisions.list()).filter(({ outcome }) => outcome === "refused");
    await until("it was refused", async () => (await refusals()).length === 2);
    await looked(early);
    for (const { code, inputs } of await refusals()) {
      expect(code).toBe("maintenance_window");
      const inMs = new Date(String(inputs["retryAt"])).getTime() - systemClock.now().getTime();
      expect(inMs).toBeGreaterThan(2.9 * HOUR_MS);
    }
    expect(await sizes()).toEqual(before);
    // Asked once for each, and proposed once.
    expect(await refusals()).toHaveLength(2);
    expect(await states()).toEqual(["t_pkey approved", "t_value approved"]);
    await end(early);

    const daemon = await start({ maintenanceWindows: window(-1, 2) });
    await done(2);
    await looked(daemon);
    expect(await states()).toEqual(["t_pkey done", "t_value done"]);
    const after = await sizes();
    for (const [at, deployment] of (await store.deployments.list())
      .toSorted((a, b) => a.indexName.localeCompare(b.indexName))
      .entries()) {
      const rebuilt = rebuiltOf(deployment);
      expect(rebuilt).toMatchObject({ bytesBefore: before[at], bytesAfter: after[at] });
      expect(Math.abs(rebuilt?.predictionError ?? 1)).toBeLessThan(0.05);
      expect((rebuilt?.bytesAfter ?? 0) / (rebuilt?.bytesBefore ?? 1)).toBeLessThan(0.4);
    }
    expect(daemon.log.filter(({ level }) => level === "error")).toEqual([]);
  });

  test("in mode approve proposes each index once, and rebuilds that which a person has approved", async () => {
    await fresh();
    const daemon = await start({ mode: "approve" });
    await until("they wait", () => Promise.resolve(daemon.standing.waitingForApproval === 2));
    await looked(daemon);
    expect(await states()).toEqual(["t_pkey proposed", "t_value proposed"]);
    await rule(pilot(), { verdict: "approve", subjects: ["t_value"], actor: "ann", reason: "" });
    await done(1);
    await looked(daemon);
    expect(await states()).toEqual(["t_pkey proposed", "t_value done"]);
  });

  test.each([
    { mode: "advise" },
    { mode: "observe" },
    { mode: "autopilot", modeOverrides: [{ schema: "public", table: "t", mode: "advise" }] },
    { mode: "autopilot", inspection: "off" },
  ] as const)("with %j proposes nothing", async (settings) => {
    await fresh();
    const daemon = await start(settings);
    await looked(daemon);
    expect(await states()).toEqual([]);
  });

  test("keeps to the limits of a run across its looks and its restarts", async () => {
    await fresh();
    const limits = { rebuildIndexes: 1 };
    const first = await start(limits);
    await done(1);
    await looked(first);
    await end(first);
    const second = await start(limits);
    await looked(second);
    await until("it was refused", async () =>
      (await store.decisions.list()).some(({ code, inputs }) => code === "rebuild_run" && inputs["retryAt"] !== null),
    );
    expect((await states()).filter((one) => one.endsWith("done"))).toHaveLength(1);
    expect((await states()).filter((one) => one.endsWith("approved"))).toHaveLength(1);
  });

  test("survives that somebody cancels a rebuild: leaves nothing of it, and rebuilds after a later look", async () => {
    await fresh();
    const holder = await open(url);
    await holder.script("begin; lock table t in row exclusive mode");
    const daemon = await start();
    /** The backend, once the copy that proves a leftover ours is recorded. */
    const rebuilding = async (): Promise<number | undefined> =>
      (await store.deployments.list({ states: ["building"] })).find(({ indexOid }) => indexOid !== null)?.backend?.pid;
    await until("it is rebuilding, and has seen its copy", async () => (await rebuilding()) !== undefined);
    await admin.query("select pg_cancel_backend($1)", [await rebuilding()]);
    await holder.script("rollback");
    await until("it failed", async () => (await states()).some((one) => one.endsWith("failed")));
    await done(2);
    await looked(daemon);
    expect(
      await admin.query("select relname from pg_class where relname ~ '_cc(new|old)[0-9]*$' or relname like 'ip\\_%'"),
    ).toEqual([]);
    expect(await admin.query("select from pg_index where not indisvalid")).toEqual([]);
  });

  test("analyses what a failover has forgotten the age of, and rebuilds by that", async () => {
    await fresh();
    await admin.query("select pg_stat_reset()");
    const daemon = await start();
    await done(2);
    expect(daemon.log.some(({ text }) => text.endsWith("; analysed 1 table"))).toBe(true);
  });

  test("does not rebuild what somebody else has rebuilt since it was decided", async () => {
    await fresh();
    const early = await start({ maintenanceWindows: window(3, 1) });
    await until(
      "they wait for the window",
      async () => (await states()).filter((one) => one.endsWith("approved")).length === 2,
    );
    await end(early);
    await admin.script("reindex index t_value");
    const before = await admin.query("select pg_relation_filenode('t_value') as node");
    await start({ inspectEveryMs: HOUR_MS });
    await done(1);
    await until("it is declined", async () => (await states()).includes("t_value declined"));
    expect(await admin.query("select pg_relation_filenode('t_value') as node")).toEqual(before);
  });
});
