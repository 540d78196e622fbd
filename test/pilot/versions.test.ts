import { describe, expect, test } from "vitest";
import type { Deployment, Verdict } from "../../src/domain/index.ts";
import { readVersions, rollBack } from "../../src/pilot/index.ts";
import { advance, getIndexVersions, takeBack, trackIndexVersions } from "../../src/rollout/index.ts";
import { openShop, type Shop } from "../rollout/fixtures/rollout.ts";
import { allMajors, withTarget } from "../rollout/fixtures/target.ts";
import { openWired } from "./wired.ts";

const verdict: Omit<Verdict, "outcome" | "reason"> = {
  change: -0.998,
  interval: null,
  exposure: "time",
  statements: [],
  drift: null,
  controlStatements: 0,
};

describe.each([allMajors[0], 15, 18])("the history of indexes, on PostgreSQL %i", (major) => {
  const target = withTarget(major);

  const look = (shop: Shop): Promise<{ readonly added: number } | null> =>
    trackIndexVersions(shop.context.build, shop.context.store, shop.context.clock);
  const versions = async (shop: Shop, name: string) => {
    const [series, second] = await getIndexVersions(shop.context.store, name);
    if (second !== undefined) throw new Error("two series of one name");
    return series?.versions ?? [];
  };
  const changes = async (shop: Shop, name: string): Promise<readonly string[]> =>
    (await versions(shop, name)).map(({ number, change, actor }) => `${String(number)} ${change} by ${actor}`);

  test("notices what others create, change, rename and drop, numbers it, and adds nothing where nothing is new", async () => {
    const shop = await openShop(target());
    await shop.stranger.query("alter table customers add primary key (id)");
    expect(await look(shop)).toEqual({ added: 1 });
    expect(await versions(shop, "customers_pkey")).toMatchObject([
      { number: 1, change: "found", actor: "others", constraint: "PRIMARY KEY (id)", deploymentId: null },
    ]);
    await shop.stranger.query("create index orders_note on orders (note)");
    expect(await look(shop)).toEqual({ added: 1 });
    expect(await look(shop)).toEqual({ added: 0 });

    await shop.stranger.query("alter index orders_note set (fillfactor = 70)");
    expect(await look(shop)).toEqual({ added: 1 });
    const [, second] = await versions(shop, "orders_note");
    expect(second?.definition).toContain("fillfactor='70'");

    await shop.stranger.query("alter index orders_note rename to notes");
    expect(await look(shop)).toEqual({ added: 1 });
    expect(await versions(shop, "orders_note")).toEqual([]);
    // Another file and another OID, and yet the same index.
    await shop.stranger.query("reindex index concurrently notes");
    expect(await look(shop)).toEqual({ added: 0 });

    await shop.stranger.query("drop index notes");
    expect(await look(shop)).toEqual({ added: 1 });
    expect(await look(shop)).toEqual({ added: 0 });
    await shop.stranger.query("create index notes on orders (note) where id > 7");
    expect(await look(shop)).toEqual({ added: 1 });
    expect(await changes(shop, "notes")).toEqual([
      "1 created by others",
      "2 changed by others",
      "3 changed by others",
      "4 dropped by others",
      "5 created by others",
    ]);
    expect((await versions(shop, "public.notes")).at(-1)?.definition).toContain("WHERE (id > 7)");
  });

  test("takes nothing invalid for an index, and an index that turns invalid for no change", async () => {
    const shop = await openShop(target());
    await shop.stranger.query("update customers set id = 1 where id = 2");
    await shop.stranger.query("create unique index concurrently broken on customers (id)").catch(() => undefined);
    await shop.stranger.query("create index turning on customers (name)");
    expect(await look(shop)).toEqual({ added: 1 });
    expect(await versions(shop, "broken")).toEqual([]);
    await shop.admin.query("update pg_index set indisvalid = false where indexrelid = 'turning'::regclass");
    expect(await look(shop)).toEqual({ added: 0 });
    await shop.stranger.query("drop index broken");
    expect(await look(shop)).toEqual({ added: 0 });
  });

  test("is not looked at while somebody holds a table for himself: nobody is waited for", async () => {
    const shop = await openShop(target());
    await shop.stranger.query("create index held on customers (name)");
    await shop.stranger.query("begin");
    await shop.stranger.query("lock table customers in access exclusive mode");
    expect(await look(shop)).toBeNull();
    await shop.stranger.query("rollback");
    expect(await look(shop)).toEqual({ added: 1 });
    expect((await versions(shop, "held"))[0]?.sizeBytes).toBeGreaterThan(0);
  });

  test("says whether a verdict took it back or a person, whatever the verdict was", async () => {
    const shop = await openWired(target());
    await shop.admin.query("create extension pg_stat_statements");
    const build = async (): Promise<Deployment> => {
      const built = await shop.attempt();
      if (built.kind !== "built") throw new Error("not built");
      await look(shop);
      const patch = { verdict: { ...verdict, outcome: "better", reason: "time per call −99.8 %" } } as const;
      const judged = await advance(shop.context, built.deployment, "look", { actor: "test", patch });
      if (judged === null) throw new Error("not judged");
      return judged;
    };
    const last = async (name: string) => (await versions(shop, name)).at(-1);
    const { indexName } = await build();
    await rollBack(shop.pilot, { index: indexName, actor: "ann" });
    await look(shop);
    expect(await last(indexName)).toMatchObject({ change: "dropped", reason: "rolled back: asked for by ann" });
    const deployment = await build();
    await takeBack({ ...shop.context, deployment, reason: "verdict worse: time per call +12 %" });
    await look(shop);
    expect(await last(indexName)).toMatchObject({
      number: 4,
      change: "dropped",
      reason: "rolled back: verdict worse: time per call +12 %",
    });
  });

  test("knows what IndexPilot built and took back, by deployment, and shows it", async () => {
    const shop = await openWired(target());
    await shop.admin.query("create extension pg_stat_statements");
    await look(shop);
    const built = await shop.attempt();
    if (built.kind !== "built") throw new Error("not built");
    const { id, indexName } = built.deployment;
    await look(shop);
    expect(await versions(shop, indexName)).toMatchObject([
      { number: 1, change: "created", actor: "indexpilot", deploymentId: id, reason: "a test wants it" },
    ]);
    await rollBack(shop.pilot, { index: indexName, actor: "ann" });
    const [series] = await readVersions(shop.pilot, indexName);
    expect(series).toMatchObject({
      indexOid: null,
      versions: [{ change: "created" }, { number: 2, change: "dropped", actor: "indexpilot", deploymentId: id }],
    });
    await expect(readVersions(shop.pilot, "no_such_index")).rejects.toMatchObject({ code: "usage" });
  });
});
