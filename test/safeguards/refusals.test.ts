import { describe, expect, test } from "vitest";
import type { Deployment, PermitSource } from "../../src/domain/index.ts";
import { readServerIdentity, type Session } from "../../src/postgres/index.ts";
import { createIndex } from "../../src/rollout/index.ts";
import { systemClock } from "../../src/runtime/index.ts";
import {
  acquireBuildLock,
  closedCircuit,
  defaultLimits,
  emptyThreshold,
  type PermitRequest,
  readServerCondition,
  requestPermit,
} from "../../src/safeguards/index.ts";
import { holdSnapshot, holdTable, on, openContext, openShop, type Shop } from "../rollout/fixtures/rollout.ts";
import { one, until, withTarget } from "../rollout/fixtures/target.ts";

/** Safeguards as the pilot wires them: every input read from the server and the store at the moment of asking. */
const safeguards =
  (
    shop: Shop,
    deployment: Deployment,
    changes: (request: PermitRequest) => Partial<PermitRequest> = () => ({}),
  ): PermitSource =>
  async (act) => {
    const { build, store } = shop.context;
    const now = systemClock.now();
    const request: PermitRequest = {
      act,
      stop: null,
      mode: "approve",
      approvedBy: "ann",
      leaseHeld: true,
      buildLockHeld: true,
      condition: await readServerCondition(build, deployment.tableOid),
      ownedBytes: await store.deployments.ownedBytes(),
      addedBytes: deployment.predictedBytes,
      freedBytes: 0,
      buildsBegun: await store.deployments.buildsBegun(deployment.tableOid, new Date(now.getTime() - 3_600_000)),
      allBuildsBegun: await store.deployments.buildsBegun(null, new Date(now.getTime() - 3_600_000)),
      rebuildsBegun: null,
      circuits: { table: closedCircuit, server: closedCircuit },
      load: { activeSessions: 0, hiddenSessions: 0, threshold: emptyThreshold },
      ownedBytesOnTable: 0,
      ownedBytesInSchema: 0,
      prediction: null,
      databaseBytes: null,
      replication: { standbys: 0, lagMs: null, lagBytes: null },
      limits: defaultLimits,
      now,
    };
    return requestPermit({ ...request, ...changes(request) });
  };

describe("on a real server, a refusal stops a build that goes on once its cause is gone:", () => {
  const target = withTarget(18);

  const attempt = async (
    shop: Shop,
    deployment: Deployment,
    changes?: (request: PermitRequest) => Partial<PermitRequest>,
  ) => {
    const outcome = await createIndex({ ...shop.context, deployment, permits: safeguards(shop, deployment, changes) });
    const built = (await shop.indexes()).some((index) => index.comment === `indexpilot:${deployment.id}`);
    expect(built).toBe(outcome.kind === "built");
    return outcome;
  };

  test("nobody had approved it", async () => {
    const shop = await openShop(target());
    const deployment = await shop.approved();
    expect(await attempt(shop, deployment, () => ({ approvedBy: null }))).toMatchObject({ code: "not_approved" });
    expect(await shop.events(deployment.id)).toEqual(["propose"]);
    expect(await attempt(shop, deployment)).toMatchObject({ kind: "built" });
  });

  test("the store belonged to another database", async () => {
    const shop = await openShop(target());
    const deployment = await shop.approved();
    expect(await attempt(shop, deployment, () => ({ leaseHeld: false }))).toMatchObject({ code: "installation_lease" });
    expect(await attempt(shop, deployment)).toMatchObject({ kind: "built" });
  });

  test("the role could not write", async () => {
    const shop = await openShop(target());
    const deployment = await shop.approved();
    await shop.context.build.query("set default_transaction_read_only = on");
    expect(await attempt(shop, deployment)).toMatchObject({ code: "read_only_server" });
    await shop.context.build.query("reset default_transaction_read_only");
    expect(await attempt(shop, deployment)).toMatchObject({ kind: "built" });
  });

  test("the version builds corrupt indexes", async () => {
    const shop = await openShop(target());
    const deployment = await shop.approved();
    const old = (request: PermitRequest) => ({ condition: { ...request.condition, versionNum: 140_002 } });
    expect(await attempt(shop, deployment, old)).toMatchObject({ code: "unsafe_version" });
    expect(await attempt(shop, deployment)).toMatchObject({ kind: "built" });
  });

  test("the table had its ten indexes", async () => {
    const shop = await openShop(target());
    const deployment = await shop.approved();
    for (let i = 0; i < 10; i += 1) await shop.stranger.query(`create index extra${String(i)} on orders (note)`);
    expect(await attempt(shop, deployment)).toMatchObject({ code: "indexes_per_table", retryAt: null });
    await shop.stranger.query("drop index extra0");
    expect(await attempt(shop, deployment)).toMatchObject({ kind: "built" });
  });

  test.each([
    [
      "timescaledb",
      "create schema _timescaledb_catalog; create table _timescaledb_catalog.hypertable as select 'public'::name as schema_name, 'orders'::name as table_name; grant usage on schema _timescaledb_catalog to public; grant select on _timescaledb_catalog.hypertable to public",
      "drop table _timescaledb_catalog.hypertable; create view _timescaledb_catalog.hypertable as select 'public'::name as schema_name, 'others'::name as table_name; grant select on _timescaledb_catalog.hypertable to public",
    ],
    [
      "citus",
      "create table pg_dist_partition as select 'orders'::regclass as logicalrelid; grant select on pg_dist_partition to public",
      "delete from pg_dist_partition",
    ],
  ])("the table was the business of %s", async (extension, take, release) => {
    const shop = await openShop(target());
    const deployment = await shop.approved();
    // As if the extension were there: its row and its list of tables are all that is asked for.
    await shop.admin.script(
      `insert into pg_extension (oid, extname, extowner, extnamespace, extrelocatable, extversion)
       select 99999, '${extension}', 10, oid, false, '1' from pg_namespace where nspname = 'public'; ${take}`,
    );
    expect(await attempt(shop, deployment)).toMatchObject({
      code: "managed_table",
      reason: expect.stringContaining(extension),
      retryAt: null,
    });
    await shop.admin.script(release);
    expect(await attempt(shop, deployment)).toMatchObject({ kind: "built" });
    await shop.admin.query("delete from pg_extension where extname = $1", [extension]);
  });

  test("the storage budget was spent by an earlier index of ours", async () => {
    const shop = await openShop(target());
    const first = await attempt(shop, await shop.approved());
    if (first.kind !== "built") throw new Error("not built");
    const size = first.deployment.sizeBytes ?? 0;
    const second = await shop.approved(on("orders", "created_at"));
    const budget = (bytes: number) => () => ({ limits: { ...defaultLimits, budgetBytes: bytes } });
    const needed = size + (second.predictedBytes ?? 0);
    expect(await attempt(shop, second, budget(needed - 1))).toMatchObject({ code: "storage_budget" });
    expect(await attempt(shop, second, budget(needed))).toMatchObject({ kind: "built" });
  });

  test("nobody knew how large it would be", async () => {
    const shop = await openShop(target());
    const deployment = await shop.approved();
    expect(await attempt(shop, deployment, () => ({ addedBytes: null }))).toMatchObject({ code: "size_unknown" });
    expect(await attempt(shop, deployment)).toMatchObject({ kind: "built" });
  });

  test("the table had been built on too often within the hour", async () => {
    const shop = await openShop(target());
    const limits = { ...defaultLimits, buildsPerTablePerHour: 1 };
    expect(await attempt(shop, await shop.approved(), () => ({ limits }))).toMatchObject({ kind: "built" });
    const second = await shop.approved(on("orders", "created_at"));
    const outcome = await attempt(shop, second, () => ({ limits }));
    expect(outcome).toMatchObject({ kind: "refused", code: "build_rate" });
    if (outcome.kind !== "refused" || outcome.retryAt === null) throw new Error("no time to ask again");
    const { retryAt } = outcome;
    expect(await attempt(shop, second, () => ({ limits, now: retryAt }))).toMatchObject({ kind: "built" });
  });

  test("another IndexPilot held the build lock, which a live backend keeps", async () => {
    const shop = await openShop(target());
    const deployment = await shop.approved();
    const other = await openContext(target(), shop.database);
    expect(await acquireBuildLock(other.build)).not.toBeNull();
    const withLock = async () => {
      const lock = await acquireBuildLock(shop.context.build);
      const outcome = await attempt(shop, deployment, () => ({ buildLockHeld: lock !== null }));
      await lock?.release();
      return outcome;
    };
    expect(await withLock()).toMatchObject({ kind: "refused", code: "build_running" });
    await other.build.close();
    await until("the server has let go of it", async () => {
      const held = await shop.admin.query("select from pg_locks where locktype = 'advisory'");
      return held.length === 0;
    });
    expect(await withLock()).toMatchObject({ kind: "built" });
    expect(await acquireBuildLock(shop.context.watch)).not.toBeNull();
  });

  test("somebody was building an index, in another database of the server", async () => {
    const shop = await openShop(target());
    await target().database("elsewhere");
    const deployment = await shop.approved();
    const holder = await holdSnapshot(target(), "elsewhere");
    const session = await target().open("elsewhere", "stranger", "build");
    const running = session.query("create index concurrently running_of_others on orders (note)");
    await until("it is building", async () => {
      const { buildingPids } = await readServerCondition(shop.context.build, deployment.tableOid);
      return buildingPids.includes(session.pid);
    });
    expect(await attempt(shop, deployment)).toMatchObject({
      code: "build_running",
      reason: expect.stringContaining(String(session.pid)),
    });
    await holder.end();
    await running;
    expect(await attempt(shop, deployment)).toMatchObject({ kind: "built" });
  });

  const impatient = () => ({ limits: { ...defaultLimits, oldestTransactionMs: 0 } });

  test.each([
    ["a snapshot", holdSnapshot],
    ["a write to the table", holdTable],
  ])("an old transaction would have been waited for, with %s", async (_, hold) => {
    const shop = await openShop(target());
    const deployment = await shop.approved();
    await shop.admin.query("grant pg_read_all_stats to builder");
    const holder = await hold(target(), shop.database);
    expect(await attempt(shop, deployment, impatient)).toMatchObject({
      code: "old_transaction",
      reason: expect.stringContaining(String(holder.session.pid)),
    });
    await holder.end();
    expect(await attempt(shop, deployment, impatient)).toMatchObject({ kind: "built" });
    await shop.admin.query("revoke pg_read_all_stats from builder");
  });

  test("a prepared transaction had been forgotten", async () => {
    const shop = await openShop(target());
    const deployment = await shop.approved();
    await shop.stranger.script("begin; update orders set note = 'x' where id = 1; prepare transaction 'forgotten'");
    expect(await attempt(shop, deployment, impatient)).toMatchObject({
      code: "old_transaction",
      reason: expect.stringContaining("prepared"),
    });
    await shop.stranger.query("rollback prepared 'forgotten'");
    expect(await attempt(shop, deployment, impatient)).toMatchObject({ kind: "built" });
  });
});

describe("the condition of a server", () => {
  const target = withTarget(14);
  const tableOid = async (session: Session): Promise<number> =>
    (await one<{ oid: number }>(session, "select 'public.orders'::regclass::oid as oid")).oid;

  test("counts transactions whose age the role may not see, and tells their age once it may", async () => {
    const shop = await openShop(target());
    const { build } = shop.context;
    const oid = await tableOid(build);
    const holder = await holdSnapshot(target(), shop.database);
    expect(await readServerCondition(build, oid)).toMatchObject({ hiddenTransactions: 1, oldestTransaction: null });
    await shop.admin.query("grant pg_read_all_stats to builder");
    expect(await readServerCondition(build, oid)).toMatchObject({
      hiddenTransactions: 0,
      oldestTransaction: { pid: holder.session.pid },
    });
    await shop.admin.query("revoke pg_read_all_stats from builder");
    await holder.end();
  });

  test("leaves out transactions a build would not wait for", async () => {
    const shop = await openShop(target());
    const idle = await target().open(shop.database, "postgres");
    await idle.script("begin; update customers set name = 'x' where id = 1");
    const condition = await readServerCondition(shop.context.build, await tableOid(shop.admin));
    expect(condition).toMatchObject({
      hiddenTransactions: 0,
      oldestTransaction: null,
      readOnly: false,
      indexesOnTable: 0,
    });
    await idle.query("rollback");
  });

  test("says when the table does not exist", async () => {
    const shop = await openShop(target());
    expect((await readServerCondition(shop.context.build, 1)).indexesOnTable).toBeNull();
    expect((await readServerIdentity(shop.context.build)).versionNum).toBe(shop.context.build.versionNum);
  });
});
