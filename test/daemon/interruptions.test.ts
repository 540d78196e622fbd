import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, test } from "vitest";
import { freePort } from "../../src/embedded/supervised.ts";
import { resume, stop } from "../../src/pilot/index.ts";
import { openSession, resolveConnection } from "../../src/postgres/index.ts";
import { systemClock } from "../../src/runtime/index.ts";
import { holdSnapshot } from "../rollout/fixtures/rollout.ts";
import { until, withTarget } from "../rollout/fixtures/target.ts";
import { type RunningDaemon, soon, startDaemon, toLead } from "./daemons.ts";
import { database, openSteered, type Steered } from "./steered.ts";

const program = fileURLToPath(new URL("../../bin/indexpilot.js", import.meta.url));

/** One `indexpilot run` as a process of its own. */
const launch = async (config: string) => {
  const port = await freePort();
  const child = spawn(process.execPath, [program, "run", "--config", config, "--health-port", String(port)]);
  let out = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (out += text));
  const ended = new Promise<number | null>((resolve) => child.on("close", resolve));
  const get = (path: string) => fetch(`http://127.0.0.1:${String(port)}${path}`).catch(() => null);
  const role = async (): Promise<string | undefined> => {
    const status = (await (await get("/status"))?.json()) as { targets: { role: string }[] } | undefined;
    return status?.targets[0]?.role;
  };
  return { child, ended, get, role, lines: () => out.trim().split("\n") };
};

describe("a daemon with a build under way", () => {
  const target = withTarget(18);
  const running: RunningDaemon[] = [];
  const children: ChildProcess[] = [];
  afterEach(async () => {
    for (const daemon of running.splice(0)) {
      daemon.drain();
      await daemon.ended;
    }
    for (const child of children.splice(0)) child.kill("SIGKILL");
  });

  const start = async (shop: Steered, changes: Parameters<typeof startDaemon>[1] = {}): Promise<RunningDaemon> => {
    const daemon = await startDaemon(shop.url, { mode: "approve", ...changes });
    running.push(daemon);
    await toLead(daemon);
    return daemon;
  };
  const built = (shop: Steered) => until("it is built", async () => (await shop.state()) === "verifying", 60_000);

  test("obeys a stop within two seconds, and goes on after resume", async () => {
    const shop = await openSteered(target());
    const holder = await holdSnapshot(target(), database);
    await start(shop);
    await shop.building();
    const [observe, { signal }] = [resolveConnection(shop.url, {}), new AbortController()];
    const person = { observe, build: observe, settings: soon, clock: systemClock, signal, emit: () => undefined };
    const asked = systemClock.monotonicMs();
    const stopping = stop(person, { actor: "bob", reason: "Black Friday" });
    await shop.idle();
    expect(systemClock.monotonicMs() - asked).toBeLessThan(2_000);
    await stopping;
    await until("it waits again", async () => (await shop.state()) === "approved");
    expect(await shop.indexes()).toEqual([]);
    await holder.end();
    await resume(person, { actor: "bob" });
    await built(shop);
  });

  test("lets it go on for a moment at a signal, then cancels it and leaves nothing; the next leader builds", async () => {
    const shop = await openSteered(target());
    const holder = await holdSnapshot(target(), database);
    const daemon = await start(shop, { stopGraceMs: 300 });
    await shop.building();
    daemon.drain();
    await daemon.ended;
    expect(await shop.indexes()).toEqual([]);
    expect(await shop.state()).toBe("approved");
    expect(
      await shop.admin.query(
        "select from pg_stat_activity where application_name in ('indexpilot:build', 'indexpilot:watch') and usename = 'postgres'",
      ),
    ).toEqual([]);
    await holder.end();
    await start(shop);
    await built(shop);
  });

  test("lets it end at a signal where it needs no longer than that", async () => {
    const shop = await openSteered(target());
    const holder = await holdSnapshot(target(), database);
    const daemon = await start(shop, { stopGraceMs: 60_000 });
    await shop.building();
    daemon.drain();
    await holder.end();
    await daemon.ended;
    expect(await shop.state()).toBe("verifying");
  });

  test("that is killed is followed by the one that stood by, which takes the build up", async () => {
    const shop = await openSteered(target());
    const directory = mkdtempSync(join(tmpdir(), "ip-run-"));
    const config = join(directory, "c.yaml");
    writeFileSync(
      config,
      `targets: [{ name: shop, url: "${shop.url}" }]
observation: { block: 200ms, baseline: 1s }
schedule: { roll_out: 200ms, verify: 1s }`,
    );
    const holder = await holdSnapshot(target(), database);
    const first = await launch(config);
    children.push(first.child);
    await shop.building();
    const second = await launch(config);
    children.push(second.child);
    await until("the second stands by", async () => (await second.role()) === "standby", 60_000);
    expect([(await second.get("/livez"))?.status, (await second.get("/readyz"))?.status]).toEqual([200, 200]);
    first.child.kill("SIGKILL");
    await until("the second leads", async () => (await second.role()) === "leader", 30_000);
    await holder.end();
    await built(shop);
    expect(await shop.events(shop.deployment.id)).toContain("adopt");
    expect(await (await second.get("/metrics"))?.text()).toMatch(/^indexpilot_leader\{target="shop"\} 1$/m);
    expect((await second.get("//"))?.status).toBe(404);
    second.child.kill("SIGTERM");
    expect(await second.ended).toBe(0);
    const entries = second.lines().map((line) => JSON.parse(line) as { event: string; message: string });
    const roles = entries.filter(({ event }) => event === "role").map(({ message }) => message);
    expect(roles).toEqual(["standby", "leader", "ended"]);
    expect(second.lines().join()).not.toMatch(/select|insert/i);
    rmSync(directory, { recursive: true });
  });

  test("survives a crash of the database: comes back, takes up what is left, tells the server's breaker, goes on", async () => {
    const shop = await openSteered(target());
    const holder = await holdSnapshot(target(), database);
    const daemon = await start(shop);
    await shop.building();
    const [builder] = await shop.admin.query<{ pid: number }>("select pid from pg_stat_progress_create_index");
    // The postmaster then ends all sessions and recovers from its log.
    process.kill(builder?.pid ?? 0, "SIGKILL");
    await holder.end().catch(() => undefined);
    await until("the daemon leads again", () =>
      Promise.resolve(daemon.log.filter(({ event, text }) => event === "role" && text === "leader").length === 2),
    );
    const admin = await openSession(resolveConnection(shop.url, {}), "watch");
    await until("the leftover is taken up", async () => {
      const [row] = await admin.query<{ state: string }>("select state from indexpilot.deployment");
      return row?.state === "failed";
    });
    expect(await admin.query("select from pg_index where not indisvalid")).toEqual([]);
    // It is told once the leftover is taken up.
    await until("the breaker knows", async () => {
      const [row] = await admin.query<{ scope: string; failures: number; last_failure: string }>(
        "select scope, failures, last_failure from indexpilot.circuit_breaker where failures > 0",
      );
      return row?.scope === "server" && row.failures === 1 && row.last_failure === "57P02";
    });
    await admin.close();
  });
});
