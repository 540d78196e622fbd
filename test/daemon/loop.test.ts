import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type EmbeddedServer, startEmbedded } from "../../src/embedded/index.ts";
import { propose, rule } from "../../src/pilot/index.ts";
import { openSession, resolveConnection, type Session } from "../../src/postgres/index.ts";
import { systemClock } from "../../src/runtime/index.ts";
import { until } from "../rollout/fixtures/target.ts";
import { application, type RunningDaemon, soon, startDaemon, tables } from "./daemons.ts";

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
  test("in mode autopilot observes, advises, builds, proves and keeps by itself, and tells each step to the log", async () => {
    const daemon = await start();
    await until("it is proved", async () => (await states()).includes("settled"), 90_000);
    expect(await indexes()).toEqual([{ name: "t_v_idx", valid: true }]);
    await until("all is told", () =>
      Promise.resolve(daemon.log.some(({ event, outcome }) => event === "transition" && outcome === "settled")),
    );
    await until("it has looked since", () => Promise.resolve(daemon.standing.openVerdicts === 0));
    const told = daemon.log.filter(({ event }) => event === "transition").map(({ subject }) => subject);
    expect(told).toEqual(expect.arrayContaining(["propose", "approve", "begin", "check", "build", "settle"]));
    expect(daemon.standing).toMatchObject({ role: "leader", error: null, waitingForApproval: 0 });
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

  test.each([
    [{ mode: "approve" }, "proposed"],
    [{ mode: "approve", automaticApproval: "high" }, "approved"],
    [{ mode: "advise", modeOverrides: [{ schema: "public", table: "t", mode: "autopilot" }] }, "approved"],
    [{ mode: "autopilot", modeOverrides: [{ schema: "public", mode: "advise" }] }, "only advised"],
  ] as const)("in %j has what it wants %s", async (settings, expected) => {
    const target = resolveConnection(server.url(), {});
    const { signal } = new AbortController();
    const { advice, proposals } = await propose({
      observe: target,
      build: target,
      settings: { ...soon, ...settings },
      clock: systemClock,
      signal,
      emit: () => undefined,
    });
    expect(advice?.configuration.create).toHaveLength(1);
    expect(proposals.map(({ state }) => state)).toEqual(expected === "only advised" ? [] : [expected]);
  });
});
