import { randomUUID } from "node:crypto";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Deployment, Finding } from "../../src/domain/index.ts";
import {
  advance,
  createIndex,
  proposeRecorded,
  dropStanding,
  findStanding,
  objectionToDrop,
  proposeDrop,
  reconcile,
} from "../../src/rollout/index.ts";
import { trackIndexVersions } from "../../src/rollout/index.ts";
import { systemClock } from "../../src/runtime/index.ts";
import { holdTable, openShop } from "./fixtures/rollout.ts";
import { until, withTarget } from "./fixtures/target.ts";

describe.each([14, 18])("dropping an index of somebody's, on PostgreSQL %i", (major) => {
  const target = withTarget(major);
  let shop: Awaited<ReturnType<typeof openShop>>;
  const undo: (() => Promise<void>)[] = [];

  beforeEach(async () => {
    shop = await openShop(target());
  });
  afterEach(async () => {
    for (const one of undo.splice(0)) await one();
  });

  const standing = async (name: string) => {
    const [found] = await findStanding(shop.admin, name);
    if (found === undefined) throw new Error(`there is no index ${name}`);
    return found;
  };
  const approvedDrop = async (name: string, finding?: Finding): Promise<Deployment> => {
    const proposed = proposeDrop({
      id: randomUUID(),
      standing: await standing(name),
      rationale: {
        statementIds: [],
        costBefore: null,
        costAfter: null,
        reason: "a test wants it gone",
        ...(finding === undefined ? {} : { finding }),
      },
      now: systemClock.now(),
    });
    const { store } = shop.context;
    await store.deployments.insert(proposed, { event: "propose", actor: "test" });
    const approved = await advance(shop.context, proposed, "approve", { actor: "test" });
    if (approved === null) throw new Error("it was not approved");
    return approved;
  };
  const names = async (table?: string) => (await shop.indexes(table)).map(({ name }) => name);

  test.each<[string, string]>([
    ["constraint", "alter table orders add primary key (id)"],
    ["constraint", "alter table orders add constraint target unique (id)"],
    ["constraint", "alter table orders add constraint target exclude using btree (id with =)"],
    ["unique", "create unique index target on orders (id)"],
    [
      "unique",
      "alter table orders alter id set not null; create unique index target on orders (id); alter table orders replica identity using index target",
    ],
    ["clustered", "create index target on orders (note); alter table orders cluster on target"],
    [
      "extension_owned",
      "create index target on orders (note); create extension pg_trgm; alter extension pg_trgm add table orders",
    ],
    [
      "attached_index",
      "create table p (a int) partition by range (a); create table orders_p partition of p for values from (0) to (1); create index on p (a)",
    ],
    ["partitioned_parent", "create table p (a int) partition by range (a); create index target on p (a)"],
  ])("never when it stands for more than speed: %s (%s)", async (code, sql) => {
    await shop.admin.script(sql);
    const [row] = await shop.admin.query<{ name: string }>(
      `select c.relname as name from pg_class c where relkind in ('i', 'I') and relnamespace = 'public'::regnamespace
        order by c.relname in ('target', 'orders_pkey', 'orders_p_a_idx') desc limit 1`,
    );
    expect(objectionToDrop(await standing(row?.name ?? ""))).toMatchObject({ code });
  });

  test("never when somebody is still building it, or failed to", async () => {
    const holder = await holdTable(target(), shop.database);
    undo.push(() => holder.end());
    const building = expect(shop.stranger.query("create index concurrently theirs on orders (note)")).rejects.toThrow();
    await until("it is being built", async () => (await names()).includes("theirs"));
    expect(objectionToDrop(await standing("theirs"))).toMatchObject({ code: "index_invalid" });
    await shop.admin.query("select pg_cancel_backend($1)", [shop.stranger.pid]);
    await building;
    const deployment = await approvedDrop("theirs");
    expect(await dropStanding({ ...shop.context, deployment })).toMatchObject({
      kind: "refused",
      code: "index_invalid",
    });
    expect(await names()).toEqual(["theirs"]);
  });

  test("goes as the debris of somebody's failed build when it was found to be that: not while somebody builds, nor when it was finished", async () => {
    const holder = await holdTable(target(), shop.database);
    undo.push(() => holder.end());
    const building = expect(
      shop.stranger.query("create unique index concurrently theirs on orders (note)"),
    ).rejects.toThrow();
    await until("it is being built", async () => (await names()).includes("theirs"));
    const debris = { debris: true };
    expect(objectionToDrop(await standing("theirs"), debris)).toBeNull();
    const deployment = await approvedDrop("theirs", "invalid");
    expect(await dropStanding({ ...shop.context, deployment })).toMatchObject({ kind: "refused", code: "being_built" });
    await shop.admin.query("select pg_cancel_backend($1)", [shop.stranger.pid]);
    await building;
    await holder.end();
    undo.pop();
    await shop.admin.script("reindex index theirs");
    expect(await dropStanding({ ...shop.context, deployment })).toMatchObject({ kind: "refused", code: "index_valid" });
    await shop.admin.query("update pg_index set indisvalid = false where indexrelid = 'theirs'::regclass");
    expect(await dropStanding({ ...shop.context, deployment })).toMatchObject({ kind: "dropped", wasThere: true });
    expect(await names()).toEqual([]);
  });

  test("goes concurrently, and the history keeps what it was", async () => {
    await shop.stranger.query("create index theirs on orders (note) where customer_id > 7");
    await trackIndexVersions(shop.context.build, shop.context.store, systemClock);
    const outcome = await dropStanding({ ...shop.context, deployment: await approvedDrop("theirs") });
    expect(outcome).toMatchObject({ kind: "dropped", wasThere: true, deployment: { state: "done" } });
    expect(await names()).toEqual([]);
    await trackIndexVersions(shop.context.build, shop.context.store, systemClock);
    const [series] = await shop.context.store.versions.series();
    expect(series?.latest).toMatchObject({
      change: "dropped",
      actor: "indexpilot",
      reason: "a test wants it gone",
      definition: "CREATE INDEX theirs ON public.orders USING btree (note) WHERE (customer_id > 7)",
    });
  });

  test("cannot be undone where it was unique and duplicates came meanwhile: it fails, says so and leaves nothing", async () => {
    await shop.admin.query("update orders set note = 'the same'");
    const proposed = proposeRecorded({
      id: randomUUID(),
      tableOid: (await shop.approved()).tableOid,
      table: { schema: "public", name: "orders" },
      name: "theirs",
      recorded: {
        definition: "CREATE UNIQUE INDEX theirs ON public.orders USING btree (note)",
        constraint: null,
        tablespace: null,
      },
      predictedBytes: null,
      rationale: { statementIds: [], costBefore: null, costAfter: null, reason: "a test wants it back" },
      now: systemClock.now(),
    });
    const { store } = shop.context;
    await store.deployments.insert(proposed, { event: "propose", actor: "test" });
    const deployment = await advance(shop.context, proposed, "approve", { actor: "test" });
    if (deployment === null) throw new Error("it was not approved");
    expect(await createIndex({ ...shop.context, deployment })).toMatchObject({
      kind: "failed",
      sqlState: "23505",
      reason: expect.stringContaining("same key"),
      leftover: false,
    });
    expect(await names()).toEqual([]);
  });

  test("is refused without a permit, and when the index is not the one any more that was decided about", async () => {
    await shop.stranger.query("create index theirs on orders (note)");
    const deployment = await approvedDrop("theirs");
    const permits = () =>
      Promise.resolve({ kind: "refused", code: "stopped", reason: "a test", retryAt: null } as const);
    expect(await dropStanding({ ...shop.context, permits, deployment })).toMatchObject({
      kind: "refused",
      code: "stopped",
    });
    await shop.stranger.script("drop index public.theirs; create index theirs on orders (customer_id)");
    expect(await dropStanding({ ...shop.context, deployment })).toMatchObject({ kind: "dropped", wasThere: false });
    expect(await names()).toEqual(["theirs"]);
  });

  test("gives way when it makes somebody wait, and goes on at the next start", async () => {
    await shop.stranger.query("create index theirs on orders (note)");
    const holder = await holdTable(target(), shop.database);
    const dropping = dropStanding({ ...shop.context, deployment: await approvedDrop("theirs") });
    await until(
      "it waits for the transaction",
      async () =>
        (await shop.admin.query("select from pg_locks where pid = $1 and not granted", [shop.context.build.pid]))
          .length > 0,
    );
    await shop.stranger.query("analyze orders");
    expect(await dropping).toMatchObject({ kind: "deferred", deployment: { state: "dropping" } });
    await holder.end();
    expect(await reconcile(shop.context)).toMatchObject([{ result: "dropped", deployment: { state: "done" } }]);
    expect(await names()).toEqual([]);
  });
});
