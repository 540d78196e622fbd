import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type EmbeddedServer, startEmbedded } from "../../src/embedded/index.ts";
import { stop, resume, rule } from "../../src/pilot/index.ts";
import { openSession, resolveConnection, type Session } from "../../src/postgres/index.ts";
import { systemClock } from "../../src/runtime/index.ts";
import { until } from "../rollout/fixtures/target.ts";
import { application, type RunningDaemon, soon, startDaemon, tables, toLead } from "./daemons.ts";

describe("a daemon", () => {
  let server: EmbeddedServer;
  let session: Session;
  let traffic: () => Promise<void>;
  const running: RunningDaemon[] = [];

  beforeAll(async () => {
    server = await startEmbedded({ major: 18 });
    session = await openSession(resolveConnection(server.url(), {}), "build");
    await session.script(tables);
    await session.query("vacuum analyze");
    traffic = application(server.url());
  });
  afterEach(async () => {
    for (const daemon of running.splice(0)) {
      daemon.drain();
      await daemon.ended.catch(() => undefined);
    }
    await session.script("drop schema if exists indexpilot cascade; drop index if exists t_v_idx; analyze");
  });
  afterAll(async () => {
    await traffic();
    await session.close();
    await server.stop();
  });

  const start = async (...args: Parameters<typeof startDaemon> extends [string, ...infer R] ? R : never) => {
    const daemon = await startDaemon(server.url(), ...args);
    running.push(daemon);
    return daemon;
  };
  const states = async (): Promise<string[]> => {
    const [there] = await session.query<{ there: boolean }>(
      "select to_regclass('indexpilot.deployment') is not null as there",
    );
    if (there?.there !== true) return [];
    const rows = await session.query<{ state: string }>("select state from indexpilot.deployment order by created_at");
    return rows.map(({ state }) => state);
  };
  const indexes = () =>
    session.query(
      "select indexrelid::regclass::text as name, indisvalid as valid from pg_index where indrelid = 't'::regclass",
    );
  const pilot = () => {
    const target = resolveConnection(server.url(), {});
    const { signal } = new AbortController();
    return { observe: target, build: target, settings: soon, clock: systemClock, signal, emit: () => undefined };
  };
  /** An application's transaction that a build of `t` has to wait for. */
  const hold = async () => {
    const holder = await openSession(resolveConnection(server.url(), {}), "build");
    await holder.script("begin; lock table t in row exclusive mode");
    return async () => {
      await holder.query("commit");
      await holder.close();
    };
  };
  const building = () =>
    until(
      "it is building",
      async () =>
        (await session.query("select from pg_stat_progress_create_index where relid = 't'::regclass")).length > 0,
      60_000,
    );

  test("in mode autopilot observes, advises, builds, proves and keeps by itself, and tells each step to the log", async () => {
    const daemon = await start();
    await until("it is proved", async () => (await states()).includes("settled"), 90_000);
    expect(await indexes()).toEqual([{ name: "t_v_idx", valid: true }]);
    await until("all is told", () =>
      Promise.resolve(daemon.log.some(({ event, outcome }) => event === "transition" && outcome === "settled")),
    );
    const told = daemon.log.filter(({ event }) => event === "transition").map(({ subject }) => subject);
    expect(told).toEqual(expect.arrayContaining(["propose", "approve", "begin", "check", "build", "settle"]));
    expect(daemon.standing).toMatchObject({ role: "leader", error: null, openVerdicts: 0, waitingForApproval: 0 });
    daemon.drain();
    await daemon.ended;
    expect(daemon.standing.role).toBe("ended");
    expect(
      await session.query(
        "select from pg_stat_activity where application_name like 'indexpilot:%' and pid <> pg_backend_pid()",
      ),
    ).toEqual([]);
  });

  test("in mode approve waits for a person's word, and then builds", async () => {
    const daemon = await start({ mode: "approve" });
    await until("it waits", () => Promise.resolve(daemon.standing.waitingForApproval === 1), 60_000);
    expect(await indexes()).toEqual([]);
    await rule(pilot(), { verdict: "approve", subjects: ["t_v_idx"], actor: "ann", reason: "" });
    await until(
      "it is built",
      async () => (await indexes()).length === 1 && !(await states()).includes("building"),
      60_000,
    );
    expect(await session.query("select event, actor from indexpilot.deployment_event order by id limit 3")).toEqual([
      { event: "propose", actor: "indexpilot" },
      { event: "approve", actor: "ann" },
      { event: "begin", actor: "indexpilot" },
    ]);
  });

  test("in mode approve asks nobody about what is sure, where the settings say so; in advise and observe it builds nothing", async () => {
    const sure = await start({ mode: "approve", automaticApproval: "high" });
    await until("it is built", async () => (await states()).includes("verifying"), 60_000);
    sure.drain();
    await sure.ended;
    await session.script("drop schema indexpilot cascade; drop index t_v_idx");
    const advising = await start({ mode: "advise", adviseEveryMs: 1_000 });
    await until(
      "it has advised",
      () => Promise.resolve(advising.log.some(({ event, duty }) => event === "duty" && duty === "advise")),
      60_000,
    );
    advising.drain();
    await advising.ended;
    expect(await states()).toEqual([]);
    expect(await indexes()).toEqual([]);
  });

  test("obeys a stop within two seconds, a running build included, and goes on after resume", async () => {
    await start();
    const letGo = await hold();
    await building();
    await stop(pilot(), { actor: "bob", reason: "Black Friday" });
    const stopped = systemClock.monotonicMs();
    await until(
      "nothing builds",
      async () => (await session.query("select from pg_stat_progress_create_index")).length === 0,
    );
    expect(systemClock.monotonicMs() - stopped).toBeLessThan(2_000);
    await letGo();
    await resume(pilot(), { actor: "bob" });
    await until(
      "it is built",
      async () => (await states()).some((state) => state === "verifying" || state === "settled"),
      60_000,
    );
  });

  test("lets a build go on for a moment when it has to end, then cancels it and leaves nothing; the next leader builds", async () => {
    const daemon = await start({ stopGraceMs: 500 });
    await toLead(daemon);
    const letGo = await hold();
    await building();
    daemon.drain();
    await until(
      "nothing builds",
      async () => (await session.query("select from pg_stat_progress_create_index")).length === 0,
    );
    await letGo();
    await daemon.ended;
    expect(await indexes()).toEqual([]);
    expect(await states()).toEqual(["approved"]);
    await start();
    await until(
      "it is built",
      async () => (await states()).some((state) => state === "verifying" || state === "settled"),
      60_000,
    );
    expect(await states()).toHaveLength(1);
  });

  test("survives a crash of the database in the middle of a build: comes back, takes up what is left, goes on", async () => {
    const daemon = await start();
    await toLead(daemon);
    const letGo = await hold();
    await building();
    const [builder] = await session.query<{ pid: number }>("select pid from pg_stat_progress_create_index");
    // The postmaster then ends all sessions and recovers from the log.
    process.kill(builder?.pid ?? 0, "SIGKILL");
    await letGo().catch(() => undefined);
    await until("the server is back", async () => {
      await session.close();
      session = await openSession(resolveConnection(server.url(), {}), "build").catch(() => session);
      return (await session.query("select 1").catch(() => [])).length === 1;
    });
    await until(
      "a build has ended well",
      async () => (await states()).some((state) => state === "verifying" || state === "settled"),
      90_000,
    );
    expect(daemon.log.some(({ event, code }) => event === "rest" && String(code).startsWith("connection"))).toBe(true);
    expect((await indexes()).filter(({ valid }) => valid !== true)).toEqual([]);
    expect((await states()).filter((state) => state === "building")).toEqual([]);
  });
});
