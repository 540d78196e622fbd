import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type EmbeddedServer, startEmbedded } from "../../src/embedded/index.ts";
import { rule } from "../../src/pilot/index.ts";
import { openSession, resolveConnection, type Session } from "../../src/postgres/index.ts";
import { systemClock } from "../../src/runtime/index.ts";
import { until } from "../rollout/fixtures/target.ts";
import { type RunningDaemon, soon, startDaemon } from "./daemons.ts";

describe("a daemon that finds what somebody's failed build has left", () => {
  let server: EmbeddedServer;
  let session: Session;
  let daemon: RunningDaemon;

  beforeAll(async () => {
    server = await startEmbedded({ major: 18 });
    session = await openSession(resolveConnection(server.url(), {}), "build");
    await session.script(
      "create extension pg_stat_statements; create table t (id int, v int); insert into t values (1, 1), (2, 1)",
    );
    await expect(session.script("create unique index concurrently half on t (v)")).rejects.toThrow("unique");
  });
  afterEach(async () => {
    daemon.drain();
    await daemon.ended.catch(() => undefined);
  });
  afterAll(async () => {
    await session.close();
    await server.stop();
  });

  const indexes = () => session.query("select from pg_index where indrelid = 't'::regclass");
  const pilot = () => {
    const target = resolveConnection(server.url(), {});
    const { signal } = new AbortController();
    return { observe: target, build: target, settings: soon, clock: systemClock, signal, emit: () => undefined };
  };

  test("proposes to drop it, in mode autopilot too, and does so when a person says yes", async () => {
    daemon = await startDaemon(server.url(), { mode: "autopilot", inspectEveryMs: 500 });
    await until("it waits", () => Promise.resolve(daemon.standing.waitingForApproval === 1), 60_000);
    const looks = () => daemon.log.filter(({ text }) => text.startsWith("looked at all indexes")).length;
    const seen = looks();
    await until("it has looked and acted some more", () => Promise.resolve(looks() > seen + 2), 60_000);
    expect(await indexes()).toHaveLength(1);
    expect(daemon.standing.waitingForApproval).toBe(1);
    await rule(pilot(), { verdict: "approve", subjects: ["half"], actor: "ann", reason: "" });
    await until("it is gone", async () => (await indexes()).length === 0, 60_000);
    const events = await session.query("select event, actor from indexpilot.deployment_event order by id");
    expect(events.slice(0, 3)).toEqual([
      { event: "propose", actor: "indexpilot" },
      { event: "approve", actor: "ann" },
      { event: "dispose", actor: "indexpilot" },
    ]);
  });
});
