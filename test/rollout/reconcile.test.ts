import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import type { Deployment } from "../../src/domain/index.ts";
import { createIndex, dropOurs, reconcile } from "../../src/rollout/index.ts";
import { approve, holdSnapshot, holdTable, on, openContext, openShop, type Shop } from "./fixtures/rollout.ts";
import { one, type Target, until, withTarget } from "./fixtures/target.ts";

const program = fileURLToPath(new URL("fixtures/build-and-hang.ts", import.meta.url));

/** Starts a build in another process, waits until the server holds it up, and kills the process. */
const buildAndKill = async (target: Target, shop: Shop, deployment: Deployment): Promise<number> => {
  const child = spawn(
    process.execPath,
    ["--import", "tsx", program, target.server.url("shop", "builder"), deployment.id],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  await new Promise<void>((resolve, reject) => {
    child.stdout.on("data", (text: Buffer) => {
      if (text.toString().includes("waiting")) resolve();
    });
    child.on("exit", () => {
      reject(new Error("the child ended by itself"));
    });
  });
  const exited = new Promise<void>((resolve) => {
    child.on("exit", () => {
      resolve();
    });
  });
  child.kill("SIGKILL");
  await exited;
  const stored = await shop.context.store.deployments.get(deployment.id);
  if (stored?.backend === null || stored === null) throw new Error("the backend was not recorded");
  return stored.backend.pid;
};

const backendRuns = async (shop: Shop, pid: number): Promise<boolean> =>
  (await shop.admin.query("select from pg_stat_activity where pid = $1", [pid])).length > 0;

describe.each([15, 18])("after SIGKILL on PostgreSQL %i", (major) => {
  const target = withTarget(major);

  test("a build that goes on in the server is waited for and adopted", async () => {
    const shop = await openShop(target());
    const holder = await holdSnapshot(target(), shop.database);
    const deployment = await shop.approved();
    await buildAndKill(target(), shop, deployment);
    let waiting = false;
    const reconciling = reconcile({
      ...shop.context,
      onWaiting: () => {
        waiting = true;
      },
    });
    await until("it waits for the build", () => Promise.resolve(waiting));
    await holder.end();
    expect(await reconciling).toMatchObject([
      { result: "adopted", deployment: { id: deployment.id, state: "verifying", indexName: "orders_customer_id_idx" } },
    ]);
    expect(await shop.indexes()).toEqual([
      { name: "orders_customer_id_idx", valid: true, comment: `indexpilot:${deployment.id}` },
    ]);
    expect(await shop.events(deployment.id)).toEqual(["propose", "begin", "check", "adopt"]);
    expect(await reconcile(shop.context)).toEqual([]);
  });

  test("a build that ended while nobody looked is adopted", async () => {
    const shop = await openShop(target());
    const holder = await holdSnapshot(target(), shop.database);
    const deployment = await shop.approved();
    const pid = await buildAndKill(target(), shop, deployment);
    await holder.end();
    await until("the build has ended", async () => !(await backendRuns(shop, pid)));
    expect(await reconcile(shop.context)).toMatchObject([{ result: "adopted" }]);
  });

  test("the leftover of a build whose backend died is removed, and what others build, or failed to build, is not touched", async () => {
    const shop = await openShop(target());
    await shop.stranger.query("insert into customers select * from customers limit 1");
    await shop.stranger
      .query("create unique index concurrently failed_of_others on customers (id)")
      .catch(() => undefined);
    await shop.stranger
      .query("create unique index concurrently ip_00000000_build on orders (customer_id)")
      .catch(() => undefined);
    await shop.stranger.query(
      "comment on index ip_00000000_build is 'indexpilot:00000000-0000-4000-8000-000000000000'",
    );
    const holder = await holdSnapshot(target(), shop.database);
    const deployment = await shop.approved();
    const pid = await buildAndKill(target(), shop, deployment);
    const running = shop.stranger.query("create index concurrently running_of_others on customers (name)");
    await until("the build of somebody else runs", async () =>
      (await shop.indexes("customers")).some((index) => index.name === "running_of_others"),
    );
    await shop.admin.query("select pg_terminate_backend($1)", [pid]);
    await until("the backend is gone", async () => !(await backendRuns(shop, pid)));
    expect(await reconcile(shop.context)).toMatchObject([{ result: "removed", deployment: { state: "failed" } }]);
    expect(await shop.indexes()).toMatchObject([{ name: "ip_00000000_build", valid: false }]);
    expect(await shop.indexes("customers")).toMatchObject([
      { name: "failed_of_others", valid: false },
      { name: "running_of_others", valid: false },
    ]);
    expect((await shop.context.store.deployments.history(deployment.id)).at(-1)).toMatchObject({
      event: "fail",
      detail: { result: "removed" },
    });
    await holder.end();
    await running;
    expect(await shop.indexes("customers")).toMatchObject([
      { valid: false },
      { name: "running_of_others", valid: true },
    ]);
  });

  test("the leftover stays while somebody else builds on the same table, and is removed afterwards", async () => {
    const shop = await openShop(target());
    const holder = await holdSnapshot(target(), shop.database);
    const deployment = await shop.approved();
    const pid = await buildAndKill(target(), shop, deployment);
    await shop.admin.query("select pg_terminate_backend($1)", [pid]);
    await until("the backend is gone", async () => !(await backendRuns(shop, pid)));
    const running = shop.stranger.query("create index concurrently running_of_others on orders (note)");
    await until("the build of somebody else runs", async () =>
      (await shop.indexes()).some((index) => index.name === "running_of_others"),
    );
    expect(await reconcile(shop.context)).toMatchObject([
      {
        result: "postponed",
        deployment: { state: "building" },
        reason: expect.stringContaining("being built on the table"),
      },
    ]);
    expect(await shop.indexes()).toHaveLength(2);
    await holder.end();
    await running;
    expect(await reconcile(shop.context)).toMatchObject([{ result: "removed" }]);
    expect(await shop.indexes()).toEqual([{ name: "running_of_others", valid: true, comment: null }]);
    expect(await shop.events(deployment.id)).toEqual(["propose", "begin", "postpone", "fail"]);
  });

  test("a build that goes on gives way to others under the eyes of the next process", async () => {
    const shop = await openShop(target());
    const holder = await holdSnapshot(target(), shop.database);
    await buildAndKill(target(), shop, await shop.approved());
    const reconciling = reconcile(shop.context);
    await shop.stranger.query("alter table orders add column later int");
    expect(await reconciling).toMatchObject([{ result: "removed" }]);
    expect(await shop.indexes()).toEqual([]);
    await holder.end();
  });
});

describe("at the next start", () => {
  const target = withTarget(18);

  const dead = { pid: 1, startedAt: "1.000000" };
  /** As if a process had died in the middle. */
  const begun = async (
    shop: Shop,
    changes: Parameters<Shop["context"]["store"]["deployments"]["transition"]>[1]["patch"] = {},
  ) => {
    const deployment = await shop.approved();
    const next = await shop.context.store.deployments.transition(deployment.id, {
      from: "approved",
      to: "building",
      event: "begin",
      actor: "the process that died",
      at: new Date(),
      patch: { backend: dead, ...changes },
    });
    if (next === null) throw new Error("not approved");
    return next;
  };
  const oidOf = async (shop: Shop, name: string): Promise<number> =>
    (await one<{ oid: number }>(shop.admin, "select $1::regclass::oid as oid", [`public.${name}`])).oid;

  test("a deployment whose DDL was never sent has failed, and the history says that nothing exists", async () => {
    const shop = await openShop(target());
    const deployment = await begun(shop);
    expect(await reconcile(shop.context)).toMatchObject([{ result: "missing", deployment: { state: "failed" } }]);
    expect(await shop.events(deployment.id)).toEqual(["propose", "begin", "fail"]);
  });

  test("a backend that was given the same pid later is not taken for the one that built", async () => {
    const shop = await openShop(target());
    await begun(shop, { backend: { pid: shop.stranger.pid, startedAt: dead.startedAt } });
    const sleeping = shop.stranger.query("select pg_sleep(30)").catch(() => undefined);
    expect(await reconcile({ ...shop.context, waitMs: 300 })).toMatchObject([{ result: "missing" }]);
    await shop.admin.query("select pg_cancel_backend($1)", [shop.stranger.pid]);
    await sleeping;
  });

  test("an index that was checked but not yet named is named", async () => {
    const shop = await openShop(target());
    const { temporaryName } = await begun(shop);
    await shop.stranger.query(`create index ${temporaryName} on orders (customer_id)`);
    expect(await reconcile(shop.context)).toMatchObject([{ result: "adopted" }]);
  });

  test("an index that was named but not yet recorded as built is found by its OID and recorded", async () => {
    const shop = await openShop(target());
    await shop.stranger.query("create index orders_customer_id_idx on orders (customer_id)");
    await begun(shop, { indexOid: await oidOf(shop, "orders_customer_id_idx"), indexName: "orders_customer_id_idx" });
    expect(await reconcile(shop.context)).toMatchObject([{ result: "adopted", deployment: { state: "verifying" } }]);
    expect(await shop.indexes()).toMatchObject([
      { name: "orders_customer_id_idx", comment: expect.stringContaining("indexpilot:") },
    ]);
  });

  test("naming waits a moment for somebody who holds a lock on the index", async () => {
    const shop = await openShop(target());
    const { temporaryName } = await begun(shop);
    await shop.stranger.query(`create index ${temporaryName} on orders (customer_id)`);
    await shop.stranger.script(`begin; comment on index ${temporaryName} is 'mine'`);
    const reconciling = reconcile(shop.context);
    await until("it has been held up", async () => {
      const held = await shop.admin.query("select from pg_stat_activity where pid = $1 and wait_event_type = 'Lock'", [
        shop.context.build.pid,
      ]);
      return held.length > 0;
    });
    await shop.stranger.query("rollback");
    expect(await reconciling).toMatchObject([{ result: "adopted" }]);
  });

  test("an index under the temporary name that is not what was intended is removed", async () => {
    const shop = await openShop(target());
    const { temporaryName } = await begun(shop);
    await shop.stranger.query(`create index ${temporaryName} on orders (customer_id) where customer_id > 7`);
    expect(await reconcile(shop.context)).toMatchObject([{ result: "removed" }]);
    expect(await shop.indexes()).toEqual([]);
  });

  test("an index of another table with the temporary name is not ours", async () => {
    const shop = await openShop(target());
    const { temporaryName } = await begun(shop);
    await shop.stranger.query(`create index ${temporaryName} on customers (id)`);
    expect(await reconcile(shop.context)).toMatchObject([{ result: "missing" }]);
    expect(await shop.indexes("customers")).toHaveLength(1);
  });

  test("a leftover whose table is in use is left, and removed at a later start", async () => {
    const shop = await openShop(target());
    const { temporaryName } = await begun(shop);
    await shop.stranger.query(`create index ${temporaryName} on orders (customer_id)`);
    await shop.admin.query(`update pg_index set indisvalid = false where indexrelid = '${temporaryName}'::regclass`);
    const holder = await holdTable(target(), shop.database);
    expect(await reconcile({ ...shop.context, leftoverPatienceMs: 200 })).toMatchObject([{ result: "postponed" }]);
    await holder.end();
    expect(await reconcile(shop.context)).toMatchObject([{ result: "removed" }]);
  });

  test("a leftover is not dropped without a permit", async () => {
    const shop = await openShop(target());
    const { temporaryName } = await begun(shop);
    await shop.stranger.query(`create index ${temporaryName} on orders (note)`);
    const refuse = () =>
      Promise.resolve({ kind: "refused", code: "not_approved", reason: "no", retryAt: null } as const);
    expect(await reconcile({ ...shop.context, permits: refuse })).toMatchObject([
      { result: "postponed", reason: "no" },
    ]);
    expect(await shop.indexes()).toHaveLength(1);
  });

  test("a build of a process that still lives is left to it", async () => {
    const shop = await openShop(target());
    const holder = await holdSnapshot(target(), shop.database);
    const other = await openContext(target(), shop.database);
    const building = createIndex({ ...other, deployment: await shop.approved() });
    await until(
      "it has begun",
      async () => (await shop.context.store.deployments.list({ states: ["building"] })).length > 0,
    );
    expect(await reconcile({ ...shop.context, waitMs: 100 })).toMatchObject([{ result: "still_running" }]);
    const waiting = reconcile(shop.context);
    await holder.end();
    expect(await building).toMatchObject({ kind: "built" });
    expect(await waiting).toMatchObject([{ result: "handled_elsewhere", deployment: { state: "verifying" } }]);
  });

  test("a drop that was begun is ended, whether the index is still there or not", async () => {
    const shop = await openShop(target());
    const outcome = await createIndex({ ...shop.context, deployment: await shop.approved() });
    if (outcome.kind !== "built") throw new Error("not built");
    const step = { from: "verifying", to: "rolling_back", event: "roll_back", actor: "x", at: new Date() } as const;
    await shop.context.store.deployments.transition(outcome.deployment.id, step);
    expect(await reconcile(shop.context)).toMatchObject([
      { result: "rolled_back", deployment: { state: "rolled_back" } },
    ]);
    expect(await shop.indexes()).toEqual([]);

    const second = await createIndex({ ...shop.context, deployment: await shop.approved() });
    if (second.kind !== "built") throw new Error("not built");
    await shop.context.store.deployments.transition(second.deployment.id, step);
    await shop.stranger.query("drop index orders_customer_id_idx");
    expect(await reconcile(shop.context)).toMatchObject([{ result: "rolled_back" }]);
  });

  describe("to take an index back", () => {
    const built = async (shop: Shop): Promise<Deployment> => {
      const outcome = await createIndex({ ...shop.context, deployment: await shop.approved() });
      if (outcome.kind !== "built") throw new Error("not built");
      return outcome.deployment;
    };
    const reason = "a test says so";

    test("drops it, once, and says so again when asked again", async () => {
      const shop = await openShop(target());
      const deployment = await built(shop);
      const first = await dropOurs({ ...shop.context, deployment, reason });
      expect(first).toMatchObject({ kind: "dropped", wasThere: true, deployment: { state: "rolled_back" } });
      expect(await shop.indexes()).toEqual([]);
      if (first.kind !== "dropped") throw new Error("not dropped");
      expect(await dropOurs({ ...shop.context, deployment: first.deployment, reason })).toMatchObject({
        kind: "dropped",
        wasThere: false,
      });
      expect(await shop.events(deployment.id)).toEqual(["propose", "begin", "check", "build", "roll_back", "drop"]);
    });

    test("needs a permit", async () => {
      const shop = await openShop(target());
      const deployment = await built(shop);
      const permits = () =>
        shop.context.permits({ act: "create index", table: deployment.table, deploymentId: deployment.id });
      await expect(dropOurs({ ...shop.context, permits, deployment, reason })).rejects.toThrow("permit does not allow");
      expect(await shop.indexes()).toHaveLength(1);
    });

    test("finds it under a name that somebody else gave it", async () => {
      const shop = await openShop(target());
      const deployment = await built(shop);
      await shop.stranger.query("alter index orders_customer_id_idx rename to renamed");
      expect(await dropOurs({ ...shop.context, deployment, reason })).toMatchObject({
        kind: "dropped",
        wasThere: true,
      });
      expect(await shop.indexes()).toEqual([]);
    });

    test.each([
      ["somebody changed its comment", "comment on index orders_customer_id_idx is 'ours now'"],
      [
        "it was dropped and made anew by somebody else",
        "drop index orders_customer_id_idx; create index orders_customer_id_idx on orders (customer_id)",
      ],
      [
        "it was rebuilt concurrently, which makes another index of it",
        "reindex index concurrently orders_customer_id_idx",
      ],
    ])("refuses when %s", async (_, sql) => {
      const shop = await openShop(target());
      const deployment = await built(shop);
      for (const statement of sql.split("; ")) await shop.stranger.query(statement);
      await expect(dropOurs({ ...shop.context, deployment, reason })).rejects.toMatchObject({ code: "index_not_ours" });
      expect(await shop.indexes()).toMatchObject([{ name: "orders_customer_id_idx", valid: true }]);
      expect((await shop.context.store.deployments.get(deployment.id))?.state).toBe("verifying");
    });

    test("never touches a copy that carries the same comment", async () => {
      const shop = await openShop(target());
      const deployment = await built(shop);
      await shop.stranger.query("create table copy (like orders including all)");
      await dropOurs({ ...shop.context, deployment, reason });
      expect(await shop.indexes("copy")).toMatchObject([{ comment: `indexpilot:${deployment.id}` }]);
    });

    test("gives way when it makes somebody wait, and goes on at the next start", async () => {
      const shop = await openShop(target());
      const deployment = await built(shop);
      const holder = await holdTable(target(), shop.database);
      const dropping = dropOurs({ ...shop.context, deployment, reason });
      await until("it waits for the transaction", async () => {
        const waits = await shop.admin.query("select from pg_locks where pid = $1 and not granted", [
          shop.context.build.pid,
        ]);
        return waits.length > 0;
      });
      const altering = shop.stranger.query("alter table orders add column later int");
      expect(await dropping).toMatchObject({ kind: "deferred", deployment: { state: "rolling_back" } });
      await holder.end();
      await altering;
      expect(await reconcile(shop.context)).toMatchObject([{ result: "rolled_back" }]);
      expect(await shop.indexes()).toEqual([]);
    });

    test("has nothing to do for an index that was never built", async () => {
      const shop = await openShop(target());
      const deployment = await approve(shop.context.store, shop.admin, on("orders", "note"));
      expect(await dropOurs({ ...shop.context, deployment, reason })).toMatchObject({
        kind: "refused",
        code: "nothing_built",
      });
    });
  });
});
