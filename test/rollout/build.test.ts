import { describe, expect, test } from "vitest";
import type { Deployment, IndexDefinition } from "../../src/domain/index.ts";
import type { BuildProgress } from "../../src/rollout/index.ts";
import { createIndex, findOurs } from "../../src/rollout/index.ts";
import { systemClock } from "../../src/runtime/index.ts";
import { holdSnapshot, holdTable, on, openContext, openShop } from "./fixtures/rollout.ts";
import { allMajors, one, until, withTarget } from "./fixtures/target.ts";

const waitsForLockers = (progress: BuildProgress): boolean => progress.waitsForPid !== null;

/** Begins a build, and comes back when it waits for somebody else's transaction. */
const beginHeldUp = async (
  shop: Awaited<ReturnType<typeof openShop>>,
  options: { readonly deployment?: Deployment; readonly lockBudgetMs?: number } = {},
): Promise<{ readonly building: ReturnType<typeof createIndex> }> => {
  let waiting = false;
  const building = createIndex({
    ...shop.context,
    ...options,
    deployment: options.deployment ?? (await shop.approved()),
    onProgress: (progress) => {
      waiting ||= waitsForLockers(progress);
    },
  });
  await until("it waits for the transaction", () => Promise.resolve(waiting));
  return { building };
};

describe.each(allMajors)("on PostgreSQL %i", (major) => {
  const target = withTarget(major);

  test("an approved index is built, checked, named and commented by a role that is no superuser", async () => {
    const shop = await openShop(target());
    const intended = {
      ...on("orders", "customer_id", "created_at"),
      keys: [
        { column: "customer_id", direction: "asc", nulls: "last" },
        { column: "created_at", direction: "desc", nulls: "last" },
      ] as const,
      include: ["id"],
    };
    const deployment = await shop.approved(intended);
    const outcome = await createIndex({ ...shop.context, deployment });
    expect(outcome.kind).toBe("built");
    const stored = await shop.context.store.deployments.get(deployment.id);
    const index = await one<{ oid: number; size: string }>(
      shop.admin,
      "select 'orders_customer_id_created_at_idx'::regclass::oid as oid, pg_relation_size('orders_customer_id_created_at_idx') as size",
    );
    expect(stored).toMatchObject({
      state: "verifying",
      indexName: "orders_customer_id_created_at_idx",
      indexOid: index.oid,
      sizeBytes: Number(index.size),
      definition:
        "CREATE INDEX orders_customer_id_created_at_idx ON public.orders USING btree (customer_id, created_at DESC NULLS LAST) INCLUDE (id)",
      backend: null,
    });
    expect(stored?.buildMs).toBeGreaterThan(0);
    expect(await shop.indexes()).toEqual([
      { name: "orders_customer_id_created_at_idx", valid: true, comment: `indexpilot:${deployment.id}` },
    ]);
    expect(await shop.events(deployment.id)).toEqual(["propose", "begin", "check", "build"]);
    expect(await findOurs(shop.context.store, "public.orders_customer_id_created_at_idx")).toEqual([stored]);
  });

  test.each<[string, Omit<IndexDefinition, "table">]>([
    [
      "an expression, of some rows",
      {
        method: "btree",
        keys: [
          { column: "note", direction: "desc", nulls: "last", expression: "lower(note)" },
          { column: "id", direction: "asc", nulls: "last", expression: "(id)::text", opclass: "text_pattern_ops" },
        ],
        include: ["id"],
        where: "((note = 'open'::text) AND (customer_id IS NOT NULL))",
      },
    ],
    ["a hash", { method: "hash", keys: [{ column: "note", direction: "asc", nulls: "last" }], include: [] }],
    [
      "a full text index",
      {
        method: "gin",
        keys: [
          {
            column: "note",
            direction: "asc",
            nulls: "last",
            expression: "to_tsvector('english'::regconfig, COALESCE(note, ''::text))",
          },
        ],
        include: [],
      },
    ],
  ])("%s is recognised as what was intended", async (_, intended) => {
    const shop = await openShop(target());
    const deployment = await shop.approved({ table: { schema: "public", name: "orders" }, ...intended });
    expect((await createIndex({ ...shop.context, deployment })).kind).toBe("built");
  });

  test("the planner knows the values of an expression as soon as its index is built", async () => {
    const shop = await openShop(target());
    const note = { column: "note", direction: "asc", nulls: "last" } as const;
    const deployment = await shop.approved({ ...on("orders"), keys: [{ ...note, expression: "lower(note)" }] });
    await shop.admin.query("update orders set note = 'N' || id % 10");
    expect((await createIndex({ ...shop.context, deployment })).kind).toBe("built");
    expect(
      await shop.admin.query("select n_distinct::int as values from pg_stats where tablename = 'orders_note_idx'"),
    ).toEqual([{ values: 10 }]);
    const [built] = (await shop.context.store.deployments.history(deployment.id)).toReversed();
    expect(built?.detail).toMatchObject({ analyzed: { done: true } });
  });

  test("an operator class is found in a schema that is on no search path", async () => {
    const shop = await openShop(target());
    await shop.admin.script(
      'create schema "Ext"; grant usage on schema "Ext" to public; create extension pg_trgm schema "Ext"',
    );
    const deployment = await shop.approved({
      table: { schema: "public", name: "orders" },
      method: "gin",
      keys: [{ column: "note", direction: "asc", nulls: "last", opclass: "gin_trgm_ops", opclassSchema: "Ext" }],
      include: [],
    });
    expect(await createIndex({ ...shop.context, deployment })).toMatchObject({ kind: "built" });
  });

  test("hostile names of tables and columns are names and nothing else", async () => {
    const shop = await openShop(target());
    const table = 'we"ird; drop table x';
    const deployment = await shop.approved(on(table, 'sel"ect; --', "Größe"));
    expect(await createIndex({ ...shop.context, deployment })).toMatchObject({ kind: "built" });
    expect(await shop.indexes(table)).toEqual([
      { name: `${table}_sel"ect; --_Größe_idx`, valid: true, comment: `indexpilot:${deployment.id}` },
    ]);
  });

  test("a build gives way when it makes somebody wait, leaves nothing, and succeeds when it is tried again", async () => {
    const shop = await openShop(target());
    const holder = await holdSnapshot(target(), shop.database);
    const deployment = await shop.approved();
    const { building } = await beginHeldUp(shop, { deployment });
    const before = performance.now();
    await shop.stranger.query("alter table orders add column later int");
    const waitedMs = performance.now() - before;
    const outcome = await building;
    expect(outcome).toMatchObject({ kind: "deferred", leftover: false, deployment: { state: "approved" } });
    // 200 ms of budget, one look of 100 ms, and the time a cancel takes on a busy machine.
    expect(waitedMs).toBeLessThan(1000);
    expect(await shop.indexes()).toEqual([]);
    expect(await shop.events(deployment.id)).toEqual(["propose", "begin", "yield"]);
    await holder.end();
    if (outcome.kind !== "deferred") throw new Error("not deferred");
    expect(await createIndex({ ...shop.context, deployment: outcome.deployment })).toMatchObject({ kind: "built" });
  });

  test("a build that is interrupted leaves nothing behind and can be taken up again", async () => {
    const shop = await openShop(target());
    const holder = await holdSnapshot(target(), shop.database);
    const interrupt = new AbortController();
    const outcome = await createIndex({
      ...shop.context,
      deployment: await shop.approved(),
      signal: interrupt.signal,
      onProgress: (progress) => {
        if (waitsForLockers(progress)) interrupt.abort();
      },
    });
    expect(outcome).toMatchObject({ kind: "interrupted", leftover: false, deployment: { state: "approved" } });
    expect(await shop.indexes()).toEqual([]);
    await holder.end();
    if (outcome.kind !== "interrupted") throw new Error("not interrupted");
    expect(await createIndex({ ...shop.context, deployment: outcome.deployment })).toMatchObject({ kind: "built" });
  });
});

describe("a build", () => {
  const target = withTarget(18, { autovacuum_naptime: "1s", synchronous_commit: "off" });

  test("takes the next free name when the readable one is taken, and never one longer than PostgreSQL allows", async () => {
    const shop = await openShop(target());
    await shop.stranger.query("create index orders_customer_id_idx on orders (id)");
    const first = await createIndex({ ...shop.context, deployment: await shop.approved() });
    expect(first).toMatchObject({ kind: "built", deployment: { indexName: "orders_customer_id_idx1" } });
    const long = "a_name_that_goes_on_and_on_until_it_reaches_the_limit_of_names";
    await shop.stranger.script(
      `alter table customers rename column name to ${long}; alter table customers rename to ${long}`,
    );
    const outcomes = [];
    for (let i = 0; i < 2; i += 1) {
      outcomes.push(await createIndex({ ...shop.context, deployment: await shop.approved(on(long, long)) }));
    }
    expect(outcomes).toMatchObject([{ kind: "built" }, { kind: "built" }]);
    const names = (await shop.indexes(long)).map((index) => index.name);
    expect(names.map((name) => [name.length, name.slice(-5)])).toEqual([
      [63, "_idx1"],
      [63, "a_idx"],
    ]);
  });

  test("tells how far it is and whom it waits for", async () => {
    const shop = await openShop(target());
    const holder = await holdSnapshot(target(), shop.database);
    const seen: BuildProgress[] = [];
    const building = createIndex({
      ...shop.context,
      deployment: await shop.approved(),
      onProgress: (progress) => seen.push(progress),
    });
    // Others pass by: autovacuum's own transactions hold a build up for moments, too.
    const onHolder = (progress: BuildProgress): boolean => progress.waitsForPid === holder.session.pid;
    await until("it waits for the transaction", () => Promise.resolve(seen.some(onHolder)));
    await holder.end();
    expect(await building).toMatchObject({ kind: "built" });
    expect(seen.find(onHolder)).toMatchObject({ phase: expect.stringContaining("waiting") });
  });

  test("goes on while nobody waits, however long that takes compared with the lock budget", async () => {
    const shop = await openShop(target());
    const holder = await holdSnapshot(target(), shop.database);
    let elapsed = 0;
    const building = createIndex({
      ...shop.context,
      deployment: await shop.approved(),
      onProgress: (progress) => {
        elapsed = progress.elapsedMs;
      },
    });
    await until("it has waited three budgets", () => Promise.resolve(elapsed > 600));
    await shop.stranger.script(
      "insert into orders (customer_id, created_at) values (1, now()); select count(*) from orders",
    );
    await holder.end();
    expect(await building).toMatchObject({ kind: "built" });
  });

  test("that is interrupted while its table is in use says that the leftover stays for now", async () => {
    const shop = await openShop(target());
    const holder = await holdTable(target(), shop.database);
    const interrupt = new AbortController();
    const outcome = await createIndex({
      ...shop.context,
      deployment: await shop.approved(),
      signal: interrupt.signal,
      leftoverPatienceMs: 200,
      onProgress: (progress) => {
        if (waitsForLockers(progress)) interrupt.abort();
      },
    });
    expect(outcome).toMatchObject({ kind: "interrupted", leftover: true, deployment: { state: "building" } });
    expect(await shop.indexes()).toMatchObject([{ valid: false }]);
    await holder.end();
  });

  test("fails with the server's SQLSTATE when a value does not fit, and removes the leftover", async () => {
    const shop = await openShop(target());
    await shop.admin.query(
      "update orders set note = (select string_agg(md5(i::text), '') from generate_series(1, 400) i) where id = 7",
    );
    const deployment = await shop.approved(on("orders", "note"));
    expect(await createIndex({ ...shop.context, deployment })).toMatchObject({
      kind: "failed",
      sqlState: "54000",
      leftover: false,
      deployment: { state: "failed" },
    });
    expect(await shop.indexes()).toEqual([]);
    expect((await shop.context.store.deployments.history(deployment.id)).at(-1)).toMatchObject({
      event: "fail",
      detail: { sqlState: "54000" },
    });
  });

  test("fails when the server runs out of the disk it may use, and removes the leftover", async () => {
    const shop = await openShop(target());
    await shop.admin.script(
      `insert into orders (customer_id, created_at, note) select 1, now(), repeat(md5(i::text), 4) from generate_series(1, 30000) i;
       alter role builder in database ${shop.database} set temp_file_limit = '64kB';
       alter role builder in database ${shop.database} set maintenance_work_mem = '1MB'`,
    );
    const limited = await openContext(target(), shop.database);
    const deployment = await shop.approved(on("orders", "note"));
    expect(await createIndex({ ...limited, deployment })).toMatchObject({
      kind: "failed",
      sqlState: "53400",
      leftover: false,
    });
    expect(await shop.indexes()).toEqual([]);
  });

  test("fails when a deadlock is resolved at its expense, and removes the leftover", async () => {
    const shop = await openShop(target());
    const holder = await holdTable(target(), shop.database);
    const { building } = await beginHeldUp(shop, { lockBudgetMs: 60_000 });
    await holder.session.query("lock table orders in access exclusive mode");
    await holder.end();
    expect(await building).toMatchObject({ kind: "failed", sqlState: "40P01", leftover: false });
    expect(await shop.indexes()).toEqual([]);
  });

  test("that somebody else cancels has failed, and its leftover is removed", async () => {
    const shop = await openShop(target());
    const holder = await holdSnapshot(target(), shop.database);
    const { building } = await beginHeldUp(shop);
    await shop.admin.query("select pg_cancel_backend($1)", [shop.context.build.pid]);
    expect(await building).toMatchObject({ kind: "failed", sqlState: "57014", leftover: false });
    expect(await shop.indexes()).toEqual([]);
    await holder.end();
  });

  test("goes on being watched when the watcher's connection is cut", async () => {
    const shop = await openShop(target());
    const holder = await holdSnapshot(target(), shop.database);
    const { building } = await beginHeldUp(shop);
    await shop.admin.query("select pg_terminate_backend($1)", [shop.context.watch.pid]);
    await shop.stranger.query("alter table orders add column later int");
    expect(await building).toMatchObject({ kind: "deferred", leftover: false });
    await holder.end();
  });

  test("of one deployment by two processes happens once", async () => {
    const shop = await openShop(target());
    const deployment = await shop.approved();
    const other = await openContext(target(), shop.database);
    const outcomes = await Promise.all([shop.context, other].map((context) => createIndex({ ...context, deployment })));
    expect(outcomes.map((outcome) => outcome.kind).toSorted()).toEqual(["built", "refused"]);
    expect(await shop.indexes()).toHaveLength(1);
  });

  test("is not begun on a table that was made anew, nor under a name that somebody took", async () => {
    const shop = await openShop(target());
    const renamed = await shop.approved();
    await shop.stranger.script(
      "alter table orders rename to old_orders; create table orders (customer_id int); grant all on orders to builder",
    );
    expect(await createIndex({ ...shop.context, deployment: renamed })).toMatchObject({
      kind: "refused",
      code: "table_changed",
    });
    await shop.stranger.script("drop table orders; alter table old_orders rename to orders");
    await shop.stranger.query(`create index ${renamed.temporaryName} on orders (note)`);
    expect(await createIndex({ ...shop.context, deployment: renamed })).toMatchObject({
      kind: "refused",
      code: "name_taken",
    });
    expect(await shop.indexes()).toEqual([{ name: renamed.temporaryName, valid: true, comment: null }]);
    await shop.stranger.query(`drop index ${renamed.temporaryName}`);
    expect(await createIndex({ ...shop.context, deployment: renamed })).toMatchObject({ kind: "built" });
  });

  test("needs a permit for this act, this table and this deployment, still good and from the safeguards", async () => {
    const shop = await openShop(target());
    const deployment = await shop.approved();
    const other = await shop.approved();
    const { context } = shop;
    const later = { ...systemClock, now: () => new Date(systemClock.now().getTime() + 3_600_000) };
    const attempts = [
      { ...context, clock: later },
      {
        ...context,
        permits: () => context.permits({ act: "create index", table: deployment.table, deploymentId: other.id }),
      },
      {
        ...context,
        permits: () => context.permits({ act: "drop index", table: deployment.table, deploymentId: deployment.id }),
      },
      {
        ...context,
        permits: () =>
          context.permits({
            act: "create index",
            table: { schema: "public", name: "customers" },
            deploymentId: deployment.id,
          }),
      },
      {
        ...context,
        permits: async () => {
          const answer = await context.permits({
            act: "create index",
            table: deployment.table,
            deploymentId: deployment.id,
          });
          return answer.kind === "permit" ? ({ kind: "permit", permit: { ...answer.permit } } as const) : answer;
        },
      },
    ];
    for (const attempt of attempts)
      await expect(createIndex({ ...attempt, deployment })).rejects.toThrow("permit does not allow");
    expect(await shop.indexes()).toEqual([]);
    expect(await shop.events(deployment.id)).toEqual(["propose"]);
  });

  test("autovacuum that has to wait for a build does not stop it", async () => {
    const shop = await openShop(target());
    // Old enough for a vacuum against wraparound, the only one that waits for locks.
    await shop.admin.script("alter table orders set (autovacuum_freeze_max_age = 100000)");
    await shop.admin.script(
      "create procedure burn() language plpgsql as $$ begin for i in 1..100100 loop perform pg_current_xact_id(); commit; end loop; end $$",
    );
    const holder = await holdSnapshot(target(), shop.database);
    let elapsed = 0;
    const building = createIndex({
      ...shop.context,
      deployment: await shop.approved(),
      onProgress: (progress) => {
        elapsed = progress.elapsedMs;
      },
    });
    await shop.admin.script("call burn()");
    await until("autovacuum waits for the build", async () => {
      const waiting = await shop.admin.query(
        `select from pg_stat_activity where backend_type = 'autovacuum worker' and $1 = any (pg_blocking_pids(pid))`,
        [shop.context.build.pid],
      );
      return waiting.length > 0;
    });
    const seenAt = elapsed;
    await until("it has waited three budgets", () => Promise.resolve(elapsed > seenAt + 600));
    await holder.end();
    expect(await building).toMatchObject({ kind: "built" });
  });
});
