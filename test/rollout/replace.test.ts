import { describe, expect, test } from "vitest";
import type { Deployment } from "../../src/domain/index.ts";
import { createIndex, reconcile, replaceIndex } from "../../src/rollout/index.ts";
import { replacing, standing } from "./fixtures/replacement.ts";
import { openShop, type Shop } from "./fixtures/rollout.ts";
import { allMajors, one, until, withTarget } from "./fixtures/target.ts";

const oidOf = async (shop: Shop, name: string): Promise<number> =>
  (await one<{ oid: number }>(shop.admin, `select '${name}'::regclass::oid::int as oid`)).oid;

/** What was once said of an index, and what stands now; made by the second, rolled back to the first. */
const kinds = [
  ["a plain index", "create index x on orders (customer_id)", "create index x on orders (customer_id, note)"],
  ["a partial index", "create index x on orders (note) where customer_id > 7", "create index x on orders (note)"],
  ["an expression", "create index x on orders (lower(note))", "create index x on orders (upper(note) desc)"],
  ["INCLUDE", "create index x on orders (note) include (id)", "create index x on orders (note)"],
  [
    "another method and parameters",
    "create index x on orders using gin (to_tsvector('english', note)) with (fastupdate = off)",
    "create index x on orders using hash (note)",
  ],
  ["a unique index", "create unique index x on orders (id)", "create unique index x on orders (id, note)"],
  [
    "a unique constraint",
    "alter table orders add constraint x unique (id) deferrable initially deferred",
    "alter table orders add constraint x unique (id, note)",
  ],
  [
    "a primary key",
    "alter table orders add constraint x primary key (id, created_at)",
    "alter table orders add constraint x primary key (id) include (note)",
  ],
  [
    "a constraint in the place of an index",
    "alter table orders add constraint x unique (id)",
    "create index x on orders (note)",
  ],
  [
    "an index in the place of a constraint",
    "create unique index x on orders (id)",
    "alter table orders add constraint x unique (id)",
  ],
  [
    "names that need quotes",
    'create index x on "we""ird; drop table x" ("sel""ect; --", "Größe" desc nulls last)',
    'create index x on "we""ird; drop table x" ("Größe")',
  ],
] as const;

describe.each([allMajors[0], 18])("on PostgreSQL %i, an index is replaced", (major) => {
  const target = withTarget(major);

  const state = async (shop: Shop) => {
    const { definition, constraint, comment, constraintComment, valid } = await standing(shop, "x");
    return { definition, constraint, comment, constraintComment, valid };
  };
  const leftovers = (shop: Shop) => shop.admin.query("select relname from pg_class where relname ~ '^ip_'");

  test.each(kinds)("by %s, beside it and without a gap", async (_, before, after) => {
    const shop = await openShop(target());
    await shop.stranger.script(before);
    const wanted = await standing(shop, "x");
    await shop.stranger.script(wanted.constraint === null ? "drop index x" : "alter table orders drop constraint x");
    await shop.stranger.script(after);
    await shop.stranger.script("comment on index x is 'theirs'");
    const old = await standing(shop, "x");
    const deployment = await replacing(shop, "x", wanted);
    const outcome = await replaceIndex({ ...shop.context, deployment });
    expect(outcome).toMatchObject({ kind: "built", deployment: { state: "done" } });
    expect(await state(shop)).toEqual({
      definition: wanted.definition,
      constraint: wanted.constraint,
      comment: "theirs",
      constraintComment: null,
      valid: true,
    });
    expect(await oidOf(shop, "x")).not.toBe(old.oid);
    expect(await leftovers(shop)).toEqual([]);
    expect(await shop.events(deployment.id)).toEqual(["propose", "begin", "check", "swap", "hand_back"]);
  });
});

describe("an index of a partitioned table's parent", () => {
  const target = withTarget(18);

  test("is replaced before partitions' indexes are attached to it", async () => {
    const shop = await openShop(target());
    await shop.stranger.script(`create table parts (id int, at date) partition by range (at);
      create table parts_1 partition of parts for values from ('2026-01-01') to ('2027-01-01');
      alter table parts owner to shop; alter table parts_1 owner to shop;
      create index x on only parts (id)`);
    const wanted = await standing(shop, "x");
    await shop.stranger.script("drop index x; create index x on only parts (id, at)");
    const deployment = await replacing(shop, "x", wanted);
    expect(await replaceIndex({ ...shop.context, deployment })).toMatchObject({ kind: "built" });
    expect((await standing(shop, "x")).definition).toBe(wanted.definition);
    expect(await shop.indexes("parts")).toHaveLength(1);
  });
});

describe("while an index is replaced", () => {
  const target = withTarget(15);

  const ready = async (): Promise<{
    readonly shop: Shop & { readonly database: string };
    readonly deployment: Deployment;
  }> => {
    const shop = await openShop(target());
    await shop.stranger.script("create index x on orders (customer_id)");
    const wanted = await standing(shop, "x");
    await shop.stranger.script("drop index x; create index x on orders (customer_id, note)");
    return { shop, deployment: await replacing(shop, "x", wanted) };
  };
  const column = (shop: Shop) => standing(shop, "x").then(({ definition }) => /\((.*)\)$/.exec(definition)?.[1]);

  test("a definition that cannot be built leaves the old one, and says why", async () => {
    const { shop } = await ready();
    const definition = "CREATE INDEX x ON public.orders USING btree (gone)";
    const deployment = await replacing(shop, "x", { definition });
    expect(await replaceIndex({ ...shop.context, deployment })).toMatchObject({
      kind: "failed",
      sqlState: "42703",
      reason: "a column that it names is gone",
      leftover: false,
    });
    expect(await column(shop)).toBe("customer_id, note");
    expect(await shop.indexes()).toHaveLength(1);
  });

  test("a constraint that the rows do not keep leaves the old one", async () => {
    const { shop } = await ready();
    const wanted = { definition: "CREATE UNIQUE INDEX x ON public.orders USING btree (customer_id)" };
    const deployment = await replacing(shop, "x", wanted);
    expect(await replaceIndex({ ...shop.context, deployment })).toMatchObject({ kind: "failed", sqlState: "23505" });
    // No row has a null in it, but finding that out would take the table from everybody.
    await shop.stranger.query("alter table orders add column z int default 1");
    const nullable = await replacing(shop, "x", {
      definition: "CREATE UNIQUE INDEX x ON public.orders USING btree (id, z)",
      constraint: "PRIMARY KEY (id, z)",
    });
    expect(await replaceIndex({ ...shop.context, deployment: nullable })).toMatchObject({
      kind: "failed",
      sqlState: "23502",
    });
    expect(await column(shop)).toBe("customer_id, note");
    expect(await shop.indexes()).toHaveLength(1);
  });

  test("what others make of the old one in the meantime stays", async () => {
    const { shop, deployment } = await ready();
    await shop.stranger.script("alter index x set (fillfactor = 50)");
    expect(await replaceIndex({ ...shop.context, deployment })).toMatchObject({ kind: "failed", sqlState: null });
    expect((await standing(shop, "x")).definition).toContain("fillfactor");
    expect(await shop.indexes()).toHaveLength(1);
  });

  test("an open transaction holds up the drop of the old one only, and the next start goes on", async () => {
    const { shop, deployment } = await ready();
    const abort = new AbortController();
    const reader = await target().open(shop.database, "stranger");
    let isDropping = false;
    const work = replaceIndex({
      ...shop.context,
      deployment,
      signal: abort.signal,
      permits: async (act) => {
        if (act.act === "drop index") await reader.script("begin; select from orders limit 1");
        isDropping ||= act.act === "drop index";
        return shop.context.permits(act);
      },
    });
    await until("the drop waits", async () => {
      const { pid } = shop.context.build;
      // The build waits for others now and then, too.
      const waiting = await shop.admin.query("select from pg_locks where pid = $1 and not granted", [pid]);
      return isDropping && waiting.length > 0;
    });
    expect(await column(shop)).toBe("customer_id");
    abort.abort();
    expect(await work).toMatchObject({ kind: "interrupted", leftover: true, deployment: { state: "retiring" } });
    await reader.query("commit");
    expect(await reconcile(shop.context)).toMatchObject([{ result: "adopted", deployment: { state: "done" } }]);
    expect(await column(shop)).toBe("customer_id");
    expect(await shop.indexes()).toHaveLength(1);
  });

  test("of ours, the deployment before it ends, and the new one stands in its place", async () => {
    const { shop } = await ready();
    const first = await createIndex({ ...shop.context, deployment: await shop.approved() });
    if (first.kind !== "built") throw new Error("not built");
    const { id, indexName } = first.deployment;
    const wanted = { definition: `CREATE INDEX ${indexName} ON public.orders USING btree (customer_id DESC)` };
    const deployment = await replacing(shop, indexName, wanted, id);
    const outcome = await replaceIndex({ ...shop.context, deployment });
    expect(outcome).toMatchObject({ kind: "built", deployment: { state: "verifying" } });
    expect(await shop.context.store.deployments.get(id)).toMatchObject({ state: "done" });
    expect((await standing(shop, indexName)).comment).toBe(`indexpilot:${deployment.id}`);
  });

  test("somebody who reads the table is not queued behind, and it is tried again", async () => {
    const shop = await openShop(target());
    await shop.stranger.script("alter table orders add constraint x unique (id, note)");
    const wanted = { definition: "CREATE UNIQUE INDEX x ON public.orders USING btree (id)", constraint: "UNIQUE (id)" };
    const deployment = await replacing(shop, "x", wanted);
    const reader = await target().open(shop.database, "stranger");
    const { store, clock } = shop.context;
    let isFirst = true;
    const deployments: typeof store.deployments = {
      ...store.deployments,
      transition: async (id, step) => {
        if (step.event === "check" && isFirst) await reader.script("begin; select from orders limit 1");
        isFirst &&= step.event !== "check";
        return store.deployments.transition(id, step);
      },
    };
    const work = replaceIndex({
      ...shop.context,
      deployment,
      store: { ...store, deployments },
      clock: {
        ...clock,
        sleep: async (ms, signal) => {
          // Between two attempts.
          if ((await shop.events(deployment.id)).includes("check")) await reader.query("commit");
          return clock.sleep(ms, signal);
        },
      },
    });
    const outcome = await work;
    await reader.query("rollback");
    expect(outcome).toMatchObject({ kind: "built" });
    const attempts = (await shop.events(deployment.id)).filter((event) => event === "check");
    expect(attempts.length).toBeGreaterThan(1);
    expect((await standing(shop, "x")).constraint).toBe("UNIQUE (id)");
  });
});
