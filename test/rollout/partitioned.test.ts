import { beforeEach, describe, expect, test } from "vitest";
import type { Deployment } from "../../src/domain/index.ts";
import { advance, buildIndex, reconcile, settleIndex, takeBack } from "../../src/rollout/index.ts";
import { on, openShop } from "./fixtures/rollout.ts";
import { one, until, withTarget } from "./fixtures/target.ts";

const tables = `
  create table public.visits (id bigint, day int not null, page int not null) partition by range (day);
  create table public.visits_1 partition of public.visits for values from (0) to (10);
  create table public.visits_2 partition of public.visits for values from (10) to (20) partition by range (page);
  create table public.visits_2_low partition of public.visits_2 for values from (0) to (50);
  create table public.visits_2_high partition of public.visits_2 for values from (50) to (100);
  insert into public.visits select i, i % 20, i % 100 from generate_series(1, 5000) i;
  alter table public.visits owner to shop; alter table public.visits_1 owner to shop; alter table public.visits_2 owner to shop;
  alter table public.visits_2_low owner to shop; alter table public.visits_2_high owner to shop;
  analyze public.visits`;

const leaves = ["visits_1", "visits_2_high", "visits_2_low"];

describe.each([14, 18])("an index on a partitioned table, on PostgreSQL %i", (major) => {
  const target = withTarget(major);
  let shop: Awaited<ReturnType<typeof openShop>>;
  let deployment: Deployment;

  const now = async (): Promise<Deployment> => {
    const found = await shop.context.store.deployments.get(deployment.id);
    if (found === null) throw new Error("the deployment is gone");
    return found;
  };
  /** Every index of the tree: its table, whether it is valid, and whether it is attached. */
  const tree = () =>
    shop.admin.query<{ table: string; name: string; valid: boolean; attached: boolean }>(
      `select i.indrelid::regclass::text as table, i.indexrelid::regclass::text as name, i.indisvalid as valid, c.relispartition as attached
         from pg_index i join pg_class c on c.oid = i.indexrelid
        where i.indrelid::regclass::text like 'visits%' order by 1, 2`,
    );
  const build = async (): Promise<Deployment> => {
    const outcome = await buildIndex({ ...shop.context, deployment });
    if (outcome.kind !== "built") throw new Error(`it was not built: ${JSON.stringify(outcome)}`);
    return outcome.deployment;
  };
  const settle = async (of: Deployment) => settleIndex(shop.context, of, {});

  beforeEach(async () => {
    shop = await openShop(target());
    await shop.admin.script(tables);
    deployment = await shop.approved(on("visits", "page"));
  });

  test("is built on each partition at every level, and nothing is attached before the verdict", async () => {
    const built = await build();
    expect(await tree()).toEqual(
      leaves.map((table) => ({ table, name: `${table}_page_idx`, valid: true, attached: false })),
    );
    expect(built).toMatchObject({ state: "verifying", indexOid: null });
    const { bytes } = await one<{ bytes: string }>(
      shop.admin,
      "select sum(pg_relation_size(indexrelid)) as bytes from pg_index where indrelid::regclass::text like 'visits%'",
    );
    expect(built.sizeBytes).toBe(Number(bytes));
    expect(await shop.context.store.deployments.ownedBytes()).toBe(Number(bytes));
    expect(await shop.events(deployment.id)).toEqual(["propose", "begin", "build"]);
  });

  test("is attached when it is settled, all or nothing, and serves new partitions from then on", async () => {
    const outcome = await settle(await build());
    expect(outcome.kind).toBe("settled");
    expect(await now()).toMatchObject({ state: "settled", indexName: "visits_page_idx" });
    await shop.admin.script("create table public.visits_3 partition of public.visits for values from (20) to (30)");
    expect(await tree()).toEqual([
      { table: "visits", name: "visits_page_idx", valid: true, attached: false },
      { table: "visits_1", name: "visits_1_page_idx", valid: true, attached: true },
      { table: "visits_2", name: "visits_2_page_idx", valid: true, attached: true },
      { table: "visits_2_high", name: "visits_2_high_page_idx", valid: true, attached: true },
      { table: "visits_2_low", name: "visits_2_low_page_idx", valid: true, attached: true },
      { table: "visits_3", name: "visits_3_page_idx", valid: true, attached: true },
    ]);
    const parts = await shop.context.store.deployments.parts(deployment.id);
    expect(parts.map(({ state }) => state)).toEqual(["settled", "settled", "settled"]);
  });

  test("is taken back partition by partition before that, and not at all after it unless somebody accepts the locks", async () => {
    const built = await build();
    const gone = await takeBack({ ...shop.context, deployment: built, reason: "a test" });
    expect(gone).toMatchObject({ kind: "dropped", wasThere: true, deployment: { state: "rolled_back" } });
    expect(await tree()).toEqual([]);

    deployment = await shop.approved(on("visits", "page"));
    await settle(await build());
    const refused = await takeBack({ ...shop.context, deployment: await now(), reason: "a test" });
    expect(refused).toMatchObject({ kind: "refused", code: "attached" });
    expect(await tree()).toHaveLength(5);
    const accepted = await takeBack({ ...shop.context, deployment: await now(), reason: "a test", blocking: true });
    expect(accepted).toMatchObject({ kind: "dropped", wasThere: true });
    expect(await tree()).toEqual([]);
    expect(await shop.context.store.deployments.ownedBytes()).toBe(0);
  });

  test("a partition that comes before the verdict gets its part before anything is attached", async () => {
    const built = await build();
    await shop.admin.script(
      `create table public.visits_3 partition of public.visits for values from (20) to (30); alter table public.visits_3 owner to shop`,
    );
    expect((await settle(built)).kind).toBe("settled");
    const parts = await shop.context.store.deployments.parts(deployment.id);
    expect(parts.map(({ table, state }) => [table.name, state])).toContainEqual(["visits_3", "settled"]);
    expect((await tree()).every(({ valid }) => valid)).toBe(true);
  });

  test("what was cut short goes on at the next start with the partitions that are missing", async () => {
    const refusal = { kind: "refused", code: "stopped", reason: "a test says so", retryAt: null } as const;
    const cut = await buildIndex({
      ...shop.context,
      deployment,
      permits: async (act) => ((await tree()).length === 1 ? refusal : shop.context.permits(act)),
    });
    expect(cut).toMatchObject({ kind: "deferred", deployment: { state: "building" } });
    expect(cut).toHaveProperty("reason", "1 of 3 partitions have their index; partition visits_2_low: a test says so");
    expect(await reconcile({ ...shop.context, goOn: false })).toMatchObject([{ result: "postponed" }]);
    expect(await tree()).toHaveLength(1);
    expect(await reconcile(shop.context)).toMatchObject([{ result: "adopted", deployment: { state: "verifying" } }]);
    expect((await tree()).map(({ name }) => name)).toEqual(leaves.map((table) => `${table}_page_idx`));
  });

  test("a process that dies while it attaches is taken up, before the transaction and after it", async () => {
    const promoting = await advance(shop.context, await build(), "promote", { actor: "test" });
    expect(promoting?.state).toBe("promoting");
    expect(await reconcile(shop.context)).toMatchObject([{ result: "promoted", deployment: { state: "settled" } }]);
    // As if the store had not heard of it.
    await shop.admin.query("update indexpilot.deployment set state = 'promoting', index_oid = null where id = $1", [
      deployment.id,
    ]);
    expect(await reconcile(shop.context)).toMatchObject([{ result: "promoted", deployment: { state: "settled" } }]);
    expect((await tree()).filter(({ table }) => table === "visits")).toHaveLength(1);
  });

  test("a partition on which it cannot be built leaves nothing on the others", async () => {
    await shop.admin.query("insert into public.visits values (0, 15, 60)");
    deployment = await shop.approved({
      ...on("visits"),
      keys: [{ column: "id", direction: "asc", nulls: "last", expression: "(1 / id)" }],
    });
    const outcome = await buildIndex({ ...shop.context, deployment });
    expect(outcome).toMatchObject({ kind: "failed", sqlState: "22012", leftover: false });
    expect(await tree()).toEqual([]);
    expect(await now()).toMatchObject({ state: "rolled_back" });
  });

  test("somebody else's index that would be attached in the place of ours is left alone", async () => {
    await shop.stranger.query("create index theirs on public.visits_2_low (page)");
    expect(await buildIndex({ ...shop.context, deployment })).toMatchObject({
      kind: "refused",
      code: "partition_indexed",
    });
    await shop.stranger.query("drop index public.theirs");
    const built = await build();
    await shop.stranger.query("create index theirs on public.visits_2_low (page)");
    expect(await settle(built)).toMatchObject({ kind: "postponed", deployment: { state: "promoting" } });
    expect((await tree()).filter(({ attached }) => attached)).toEqual([]);
  });

  test("a writer who is in the way is not waited for, nor kept waiting", async () => {
    const built = await build();
    const writer = await target().open(shop.database, "postgres");
    await writer.query("begin");
    await writer.query("update public.visits set id = id where day = 3");
    const settling = settleIndex({ ...shop.context, leftoverPatienceMs: 100 }, built, {});
    await until(
      "it stands in the queue",
      async () =>
        (await shop.admin.query("select from pg_locks where pid = $1 and not granted", [shop.context.build.pid]))
          .length > 0,
    );
    const before = performance.now();
    await shop.stranger.query("update public.visits set id = id where day = 15");
    expect(performance.now() - before).toBeLessThan(1000);
    expect(await settling).toMatchObject({ kind: "postponed", deployment: { state: "promoting" } });
    await writer.query("commit");
    expect(await reconcile(shop.context)).toMatchObject([{ result: "promoted" }]);
  });
});
