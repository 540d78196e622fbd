import { describe, expect, test } from "vitest";
import { readStatus, resume, stop } from "../../src/pilot/index.ts";
import type { Settings } from "../../src/config/index.ts";
import { openSession, resolveConnection } from "../../src/postgres/index.ts";
import { startStandby } from "../surfaces/standby.ts";
import { advance } from "../../src/rollout/index.ts";
import { holdSnapshot, on, openContext } from "../rollout/fixtures/rollout.ts";
import { until, withTarget } from "../rollout/fixtures/target.ts";
import { openWired } from "./wired.ts";

/** Each of them: a real act on a real server is refused with its reason, recorded, and goes on once the cause is gone. */
describe.each([15, 18])("the safeguards as the pilot wires them, on PostgreSQL %i", (major) => {
  const target = withTarget(major);

  test("hold a build back while the server is busier than usual, until it is well below that again", async () => {
    const shop = await openWired(target());
    // In another database: a build waits for the snapshots of its own.
    const busy = await Promise.all([1, 2, 3].map(() => target().open("postgres", "stranger", "build")));
    for (const session of busy) await session.query("set application_name = 'shop'");
    const asleep = busy.map((session) => session.query("select pg_sleep(60)").catch(() => null));
    const active = async () => {
      const rows = await shop.admin.query(
        "select from pg_stat_activity where state = 'active' and application_name = 'shop'",
      );
      return rows.length;
    };
    const wake = async (pid: number | undefined, left: number) => {
      await shop.admin.query("select pg_cancel_backend($1)", [pid]);
      await until(`${String(left)} are active`, async () => (await active()) === left);
    };
    await until("all are active", async () => (await active()) === 3);
    const deployment = await shop.approved();
    const one = { serverCores: 1, loadFloor: 2, loadCeiling: 2 };
    const refused = await shop.attempt(one, deployment);
    expect(refused).toMatchObject({
      kind: "refused",
      code: "load",
      reason: expect.stringMatching(/3 sessions .* above 2\.0/),
    });
    expect(refused.kind === "refused" && refused.retryAt !== null).toBe(true);
    await wake(busy[0]?.pid, 2);
    expect(await shop.attempt(one, deployment)).toMatchObject({ code: "load" });
    await wake(busy[1]?.pid, 1);
    expect(await shop.attempt(one, deployment)).toMatchObject({ kind: "built" });
    await wake(busy[2]?.pid, 0);
    await Promise.all(asleep);
    const { store } = await openContext(target(), shop.database);
    expect(await store.thresholds.get("load")).toMatchObject({ samples: [3], holding: false });
    expect((await shop.decisions()).map((decision) => decision.code)).toEqual(["load", "load"]);
  });

  test("change nothing in a table whose mode is observe or advise, whoever says yes", async () => {
    const shop = await openWired(target());
    const deployment = await shop.approved();
    for (const mode of ["observe", "advise"] as const) {
      expect(await shop.attempt({ mode }, deployment)).toMatchObject({ kind: "refused", code: "mode", retryAt: null });
    }
    const modeOverrides = [
      { schema: "public", mode: "observe" },
      { schema: "public", table: "orders", mode: "approve" },
    ] as const;
    expect(await shop.attempt({ modeOverrides }, await shop.approved(on("customers", "name")))).toMatchObject({
      code: "mode",
    });
    expect(await shop.attempt({ modeOverrides }, deployment)).toMatchObject({ kind: "built" });
  });

  test("begin nothing after a stop, and go on after resume; who stopped it is in the history", async () => {
    const shop = await openWired(target());
    const deployment = await shop.approved();
    await stop(shop.pilot, { actor: "bob", reason: "Black Friday" });
    expect(await stop(shop.pilot, { actor: "eve", reason: "" })).toMatchObject({ stop: { stoppedBy: "bob" } });
    expect(await shop.attempt({}, deployment)).toMatchObject({
      kind: "refused",
      code: "stopped",
      reason: expect.stringMatching(/bob stopped everything at .*: Black Friday/),
      retryAt: null,
    });
    expect(await readStatus(shop.pilot)).toMatchObject({ stop: { stoppedBy: "bob", reason: "Black Friday" } });
    expect(await resume(shop.pilot, { actor: "ann" })).toMatchObject({ stoppedBy: "bob" });
    expect(await resume(shop.pilot, { actor: "ann" })).toBeNull();
    expect(await shop.attempt({}, deployment)).toMatchObject({ kind: "built" });
    expect((await shop.decisions()).map((decision) => decision.code)).toEqual([
      "stopped",
      "stopped",
      "stopped",
      "resumed",
    ]);
  });

  test("end a running build at a stop, and remove what it leaves", async () => {
    const shop = await openWired(target());
    const holder = await holdSnapshot(target(), shop.database);
    const deployment = await shop.approved();
    const attempt = shop.attempt({}, deployment);
    await until(
      "it is building",
      async () => (await shop.admin.query("select from pg_stat_progress_create_index")).length > 0,
    );
    expect(await stop(shop.pilot, { actor: "bob", reason: "" })).toMatchObject({ cancelled: [] });
    expect(await attempt).toMatchObject({
      kind: "deferred",
      leftover: false,
      retryAt: null,
      reason: expect.stringContaining("bob stopped everything"),
      deployment: { state: "approved" },
    });
    expect(await shop.indexes()).toEqual([]);
    await holder.end();
    await resume(shop.pilot, { actor: "bob" });
    expect(await shop.attempt({}, deployment)).toMatchObject({ kind: "built" });
  });

  test("end at a stop the build of a process that was killed", async () => {
    const shop = await openWired(target());
    const holder = await holdSnapshot(target(), shop.database);
    const deployment = await shop.approved();
    const orphan = await target().open(shop.database, "builder", "build");
    const [backend] = await orphan.query<{ startedAt: string }>(
      'select extract(epoch from backend_start)::text as "startedAt" from pg_stat_activity where pid = pg_backend_pid()',
    );
    const begun = { pid: orphan.pid, startedAt: backend?.startedAt ?? "" };
    await advance(shop.context, deployment, "begin", { actor: "test", patch: { backend: begun } });
    const building = orphan
      .query(`create index concurrently ${deployment.temporaryName} on orders (customer_id)`)
      .catch((error: unknown) => (error as { code?: string }).code);
    await until(
      "it is building",
      async () => (await shop.admin.query("select from pg_stat_progress_create_index")).length > 0,
    );
    expect(await stop(shop.pilot, { actor: "bob", reason: "" })).toMatchObject({ cancelled: [{ id: deployment.id }] });
    expect(await building).toBe("57014");
    await holder.end();
  });

  test("begin a build only in a maintenance window it fits into, and end it when the window closes", async () => {
    const shop = await openWired(target());
    const maintenanceWindows = [
      { time_zone: "Europe/Berlin", from: "02:00", to: "06:00", days: ["sun"] },
    ] as const satisfies Settings["maintenanceWindows"];
    // Sunday in which clocks go from 02:00 to 03:00: the window is three hours long and opens at 01:00 UTC.
    shop.setTime(new Date("2026-03-28T22:00:00Z"));
    const settings = { maintenanceWindows };
    const deployment = await shop.approved();
    expect(await shop.attempt(settings, deployment)).toMatchObject({
      kind: "refused",
      code: "maintenance_window",
      retryAt: new Date("2026-03-29T01:00:00Z"),
    });
    shop.setTime(new Date("2026-03-29T01:00:00Z"));
    const long = await shop.approved(on("customers", "name"), {
      buildMs: 3.5 * 3_600_000,
      writeOverhead: null,
      savedPerPaid: null,
    });
    expect(await shop.attempt(settings, long)).toMatchObject({
      code: "maintenance_window",
      reason: expect.stringContaining("closes at 2026-03-29T04:00:00.000Z"),
      retryAt: new Date("2026-04-05T00:00:00Z"),
    });

    shop.setTime(new Date("2026-03-29T03:59:00Z"));
    const holder = await holdSnapshot(target(), shop.database);
    const attempt = shop.attempt(settings, deployment);
    await until(
      "it is building",
      async () => (await shop.admin.query("select from pg_stat_progress_create_index")).length > 0,
    );
    shop.pass(61);
    expect(await attempt).toMatchObject({
      kind: "deferred",
      leftover: false,
      reason: "no maintenance window is open",
      retryAt: new Date("2026-04-05T00:00:00Z"),
    });
    await holder.end();
    shop.setTime(new Date("2026-04-05T00:00:00Z"));
    expect(await shop.attempt(settings, deployment)).toMatchObject({ kind: "built" });
  });

  test("keep the indexes of a table and of a schema within their budgets, and all within the disk", async () => {
    const shop = await openWired(target());
    const first = await shop.attempt();
    const size = first.kind === "built" ? (first.deployment.sizeBytes ?? 0) : 0;
    const second = await shop.approved();
    const needed = size + (second.predictedBytes ?? 0);
    expect(await shop.attempt({ tableBudgetBytes: needed - 1 }, second)).toMatchObject({
      code: "table_budget",
      retryAt: null,
    });
    expect(await shop.attempt({ schemaBudgetBytes: needed - 1 }, second)).toMatchObject({ code: "schema_budget" });
    // Another table has its own.
    const elsewhere = await shop.approved(on("customers", "name"));
    expect(await shop.attempt({ tableBudgetBytes: needed - 1 }, elsewhere)).toMatchObject({ kind: "built" });
    const [row] = await shop.admin.query<{ bytes: number }>(
      "select sum(pg_database_size(oid))::float8 as bytes from pg_database",
    );
    const used = row?.bytes ?? 0;
    expect(await shop.attempt({ diskCapacityBytes: used }, second)).toMatchObject({
      code: "disk_space",
      reason: expect.stringContaining("would not fit"),
    });
    expect(await shop.attempt({ tableBudgetBytes: needed, diskCapacityBytes: used * 2 }, second)).toMatchObject({
      kind: "built",
    });
  });

  test("warn of what comes near its limit, before it refuses", async () => {
    const shop = await openWired(target());
    for (let i = 0; i < 6; i += 1) await shop.stranger.query(`create index extra${String(i)} on orders (note)`);
    const deployment = await shop.approved();
    // Predicted with 100 kB: 80 % and 79 % of these.
    const budgets = { budgetBytes: 125_000, tableBudgetBytes: 126_600 };
    expect(await shop.attempt(budgets, deployment)).toMatchObject({ kind: "built" });
    expect(await shop.decisions()).toMatchObject([
      { subject: "warn", code: "storage_budget_near", reason: expect.stringContaining("100 kB of 125 kB (80 %)") },
      { subject: "warn", code: "indexes_near", reason: expect.stringContaining("7 indexes of at most 10") },
    ]);
  });

  test("refuse an index whose writes would pay more than is allowed", async () => {
    const shop = await openWired(target());
    const costly = await shop.approved(on("orders", "customer_id"), {
      buildMs: 10,
      writeOverhead: 0.35,
      savedPerPaid: 5,
    });
    expect(await shop.attempt({}, costly)).toMatchObject({
      code: "write_overhead",
      reason: expect.stringMatching(/35 % .* at most 20 %/),
      retryAt: null,
    });
    expect(await shop.attempt({ writeOverheadReturn: 5 }, costly)).toMatchObject({ kind: "built" });
  });

  test("wait for a standby that is behind", async () => {
    const shop = await openWired(target());
    const standby = await startStandby(target().server);
    const address = target()
      .server.url("postgres")
      .replace(`:${String(target().server.port)}/`, `:${String(standby.port)}/`);
    const replica = await openSession(resolveConnection(address, {}), "observe");
    try {
      await replica.query("select pg_wal_replay_pause()");
      await shop.admin.query("update orders set note = repeat('x', 200)");
      const deployment = await shop.approved();
      const settings = { replicationLagBytes: 500_000 };
      const refused = await shop.attempt(settings, deployment);
      expect(refused).toMatchObject({
        kind: "refused",
        code: "replication_lag",
        reason: expect.stringMatching(/a standby has .* of WAL to replay; at most 500 kB/),
      });
      expect(refused.kind === "refused" && refused.retryAt !== null).toBe(true);
      await replica.query("select pg_wal_replay_resume()");
      await until("it has caught up", async () => {
        const [row] = await shop.admin.query<{ behind: number }>(
          "select pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn)::float8 as behind from pg_stat_replication",
        );
        return row !== undefined && row.behind < 100_000;
      });
      expect(await shop.attempt(settings, deployment)).toMatchObject({ kind: "built" });

      // One that falls behind while a build is under way ends it.
      const holder = await holdSnapshot(target(), shop.database);
      const attempt = shop.attempt(settings, await shop.approved(on("orders", "created_at")));
      await until(
        "it is building",
        async () => (await shop.admin.query("select from pg_stat_progress_create_index")).length > 0,
      );
      await replica.query("select pg_wal_replay_pause()");
      await shop.admin.query("update orders set note = repeat('y', 200)");
      expect(await attempt).toMatchObject({
        kind: "deferred",
        leftover: false,
        reason: expect.stringContaining("of WAL to replay"),
        deployment: { state: "approved" },
      });
      await holder.end();
      await replica.query("select pg_wal_replay_resume()");
    } finally {
      await replica.close();
      await standby.stop();
    }
  });
});
