import { randomUUID } from "node:crypto";
import { describe, expect, test } from "vitest";
import {
  planVersionRollback,
  readVersions,
  reindexIndex,
  rollBack,
  rollbackIndexVersion,
} from "../../src/pilot/index.ts";
import { trackIndexVersions } from "../../src/rollout/index.ts";
import { holdSnapshot } from "../rollout/fixtures/rollout.ts";
import { one, until, withTarget } from "../rollout/fixtures/target.ts";
import { standing } from "../rollout/fixtures/replacement.ts";
import { openWired, type Wired } from "./wired.ts";
import type { Target } from "../rollout/fixtures/target.ts";

const open = async (target: Target): Promise<Wired> => {
  const shop = await openWired(target);
  await shop.admin.script("create extension pg_stat_statements; grant create on schema public to shop");
  return shop;
};
const look = (shop: Wired) => trackIndexVersions(shop.context.build, shop.context.store, shop.context.clock);
const back = (shop: Wired, index: string, to: number, notOurs = true) =>
  rollbackIndexVersion(shop.pilot, { index, to, notOurs, actor: "ann", reason: "it was better" });
const versions = async (shop: Wired, name: string) => {
  const [series] = await readVersions(shop.pilot, name);
  return series?.versions ?? [];
};

describe.each([14, 18])("an index goes back to a version, on PostgreSQL %i", (major) => {
  const target = withTarget(major);

  test("that somebody else made, once a person says so; and the history tells it", async () => {
    const shop = await open(target());
    await shop.stranger.query("create index x on orders (note) where customer_id > 7");
    await look(shop);
    await shop.stranger.script("drop index x; create index x on orders (customer_id)");
    await look(shop);
    expect(await back(shop, "x", 1, false)).toMatchObject({ plan: { answer: { kind: "not_ours" } }, outcome: null });
    expect(await shop.indexes()).toMatchObject([{ name: "x" }]);

    const planned = await planVersionRollback(shop.pilot, { index: "public.x", to: 1, notOurs: true });
    expect(planned.answer).toEqual({ kind: "possible" });
    expect(planned.predictedBytes).toBeGreaterThan(0);
    expect(planned.buildMs).toBeGreaterThan(0);
    const { outcome } = await back(shop, "x", 1);
    if (outcome?.kind !== "built") throw new Error("not built");
    expect(outcome.deployment.state).toBe("done");
    expect(await versions(shop, "x")).toMatchObject([
      { change: "found", actor: "others" },
      { change: "changed", actor: "others" },
      {
        change: "changed",
        actor: "indexpilot",
        deploymentId: outcome.deployment.id,
        reason: "back to version 1, asked for by ann: it was better",
      },
    ]);
    const approval = (await shop.context.store.deployments.history(outcome.deployment.id)).find(
      ({ event }) => event === "approve",
    );
    expect(approval?.detail).toEqual({ by: "ann", reason: "by ann: it was better" });
    expect(await back(shop, "x", 1)).toMatchObject({ plan: { answer: { kind: "unchanged" } }, outcome: null });
    // It is theirs as it was before.
    await expect(rollBack(shop.pilot, { index: "x", actor: "ann" })).rejects.toMatchObject({ code: "index_not_ours" });
  });

  test("from a drop: what is ours stands again, a constraint of others' when a person says so", async () => {
    const shop = await open(target());
    await shop.stranger.query("alter table customers add constraint c unique (id) deferrable");
    await look(shop);
    const built = await shop.attempt();
    if (built.kind !== "built") throw new Error("not built");
    const { indexName } = built.deployment;
    await look(shop);
    await shop.stranger.query("alter table customers drop constraint c");
    await rollBack(shop.pilot, { index: indexName, actor: "ann" });

    expect(await back(shop, "c", 1, false)).toMatchObject({ plan: { answer: { kind: "not_ours" } } });
    expect(await back(shop, "c", 1)).toMatchObject({ outcome: { kind: "built" } });
    expect((await standing(shop, "c")).constraint).toBe("UNIQUE (id) DEFERRABLE");
    expect(await back(shop, indexName, 1, false)).toMatchObject({
      outcome: { kind: "built", deployment: { state: "settled" } },
    });
    expect((await versions(shop, indexName)).map(({ change, actor }) => `${change} by ${actor}`)).toEqual([
      "created by indexpilot",
      "dropped by indexpilot",
      "created by indexpilot",
    ]);
    // It is ours again, and the constraint never is.
    await expect(rollBack(shop.pilot, { index: "c", actor: "ann" })).resolves.toMatchObject({
      kind: "refused",
      code: "constraint",
    });
    expect(await rollBack(shop.pilot, { index: indexName, actor: "ann" })).toMatchObject({ kind: "dropped" });
  });

  test("unless that cannot be built any more: what stands stays, and the reason is clear", async () => {
    const shop = await open(target());
    await shop.admin.script(
      "create function f(text) returns text language sql immutable as 'select $1'; create index x on orders (f(note))",
    );
    await look(shop);
    await shop.admin.script("drop index x; drop function f; create index x on orders (note)");
    await look(shop);
    const { outcome } = await back(shop, "x", 1);
    expect(outcome).toMatchObject({
      kind: "failed",
      reason: "a function or operator that it calls is gone",
      leftover: false,
    });
    expect((await standing(shop, "x")).definition).toContain("(note)");
    expect(await shop.indexes()).toHaveLength(1);
    await expect(back(shop, "x", 9)).rejects.toMatchObject({ code: "usage" });
    await expect(back(shop, "none", 1)).rejects.toMatchObject({ code: "usage" });
  });
});

describe("an index does not go back", () => {
  const target = withTarget(18);

  /** SQL that leads from the first version of index `x` to the second. */
  const refusals = [
    [
      "an exclusion constraint",
      "alter table customers add constraint x exclude using gist (int4range(id, id + 1) with &&)",
      "alter index x set (fillfactor = 50)",
      "exclusion_constraint",
    ],
    [
      "a primary key that foreign keys reference",
      "alter table customers add constraint x primary key (id); create table f (c int references customers)",
      "alter index x set (fillfactor = 50)",
      "referenced_key",
    ],
    [
      "an index attached to a partitioned one",
      "create table p (id int) partition by range (id); create table p1 partition of p for values from (1) to (9); create index on p (id); alter index p1_id_idx rename to x",
      "alter index x set (fillfactor = 50)",
      "attached_index",
    ],
    [
      "a partitioned index that partitions' belong to",
      "create table p (id int) partition by range (id); create table p1 partition of p for values from (1) to (9); create index x on p (id)",
      "alter index x rename to y; alter index y rename to x; drop index x; create index x on p (id desc)",
      "attached_index",
    ],
    [
      "the replica identity",
      "create unique index x on customers (id); alter table customers replica identity using index x",
      "alter index x set (fillfactor = 50)",
      "replica_identity",
    ],
    [
      "a key that a view needs",
      "alter table customers add constraint x primary key (id); create view v as select id, name from customers group by id",
      "alter index x set (fillfactor = 50)",
      "needed_by_others",
    ],
  ] as const;

  test.each(refusals)("where that takes %s, and what remains is told", async (_, first, second, code) => {
    const shop = await open(target());
    await shop.admin.script(first);
    await look(shop);
    await shop.admin.script(second);
    await look(shop);
    const before = await standing(shop, "x");
    const { plan, outcome } = await back(shop, "x", 1);
    expect(plan.answer).toMatchObject({ kind: "impossible", code, remedy: expect.stringMatching(/.{20,}/) });
    expect(outcome).toBeNull();
    expect(await standing(shop, "x")).toEqual(before);
  });
});

describe("an index is built anew", () => {
  const target = withTarget(18);

  test("as it is, under another OID, and stays ours", async () => {
    const shop = await open(target());
    const built = await shop.attempt();
    if (built.kind !== "built") throw new Error("not built");
    const { id, indexName, indexOid } = built.deployment;
    const { outcome } = await reindexIndex(shop.pilot, { index: indexName, actor: "ann", reason: "" });
    if (outcome?.kind !== "built") throw new Error("not rebuilt");
    expect(outcome.deployment).toMatchObject({ kind: "reindex", state: "done" });
    const { oid, valid } = await standing(shop, indexName);
    expect(valid).toBe(true);
    expect(oid).not.toBe(indexOid);
    expect(await shop.context.store.deployments.get(id)).toMatchObject({ state: "verifying", indexOid: oid });
    expect(await rollBack(shop.pilot, { index: indexName, actor: "ann" })).toMatchObject({ kind: "dropped" });
  });

  test("anybody's, in a database that has never seen IndexPilot", async () => {
    const shop = await open(target());
    await shop.stranger.query("alter table customers add constraint x primary key (id)");
    await shop.admin.query("create table f (c int references customers)");
    await shop.admin.query("drop schema indexpilot cascade");
    const { oid } = await standing(shop, "x");
    expect(await reindexIndex(shop.pilot, { index: "x", actor: "ann", reason: "" })).toMatchObject({
      outcome: { kind: "built" },
    });
    expect((await standing(shop, "x")).oid).not.toBe(oid);
    await shop.admin.query("insert into f values (1)");
    const { n } = await one<{ n: number }>(
      shop.admin,
      "select count(*)::int as n from pg_constraint where conname = 'x'",
    );
    expect(n).toBe(1);
  });

  test("now or not at all: what was refused, or ended by Ctrl-C, is left to nobody", async () => {
    const shop = await open(target());
    await shop.stranger.query("create index x on orders (note)");
    const { oid } = await standing(shop, "x");
    const rebuild = (changes: Partial<typeof shop.pilot>) =>
      reindexIndex({ ...shop.pilot, ...changes }, { index: "x", actor: "ann", reason: "" });
    const settings = { ...shop.pilot.settings, buildsPerHour: 0 };
    expect(await rebuild({ settings })).toMatchObject({ outcome: { kind: "refused", code: "build_rate" } });
    const holder = await holdSnapshot(target(), shop.database);
    const ctrlC = new AbortController();
    const work = rebuild({ signal: ctrlC.signal });
    await until("it is rebuilding", async () => {
      const running = await shop.admin.query("select from pg_stat_progress_create_index");
      return running.length > 0;
    });
    ctrlC.abort();
    expect(await work).toMatchObject({ outcome: { kind: "interrupted", leftover: false } });
    await holder.end();
    const states = (await shop.context.store.deployments.list()).map(({ state }) => state);
    expect(states).toEqual(["declined", "declined"]);
    expect((await standing(shop, "x")).oid).toBe(oid);
  });

  test("over a connection that is lost: the server's breaker hears of it, once", async () => {
    const shop = await open(target());
    await shop.stranger.query("create index x on orders (note)");
    const holder = await holdSnapshot(target(), shop.database);
    const work = reindexIndex(shop.pilot, { index: "x", actor: "ann", reason: "" });
    const lost = expect(work).rejects.toMatchObject({ code: "connection_lost" });
    await until("it is ended", async () => {
      const ended = await shop.admin.query(
        "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and query ~ '^reindex' and state = 'active'",
      );
      return ended.length > 0;
    });
    await lost;
    await holder.end();
    const { circuits, deployments } = shop.context.store;
    expect(await circuits.get("server")).toMatchObject({ failures: 1, lastFailure: "08006" });
    expect(await reindexIndex(shop.pilot, { index: "x", actor: "ann", reason: "" })).toMatchObject({
      outcome: { kind: "built" },
    });
    expect(await circuits.get("server")).toMatchObject({ failures: 0 });

    // Another one, whose server was started after its backend.
    const left = (await deployments.list({ states: ["done"] }))[0];
    if (left === undefined) throw new Error("nothing was rebuilt");
    const id = randomUUID();
    const backend = { pid: 999_999, startedAt: "1" };
    const again = { ...left, id, state: "building" as const, temporaryName: "another", indexOid: null, backend };
    await deployments.insert(
      { ...again, replaces: left.replaces === null ? null : { ...left.replaces, definition: "other" } },
      { event: "begin", actor: "test" },
    );
    await expect(rollBack(shop.pilot, { index: "x", actor: "ann" })).rejects.toMatchObject({ code: "index_not_ours" });
    expect(await deployments.get(id)).toMatchObject({ state: "failed" });
    expect(await circuits.get("server")).toMatchObject({ failures: 1, lastFailure: "57P02" });
  });
});
