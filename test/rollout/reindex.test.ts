import { describe, expect, test } from "vitest";
import type { Deployment } from "../../src/domain/index.ts";
import { buildIndex, createIndex, reconcile } from "../../src/rollout/index.ts";
import { reindexing, standing } from "./fixtures/replacement.ts";
import { holdSnapshot, openShop, type Shop } from "./fixtures/rollout.ts";
import { until, withTarget } from "./fixtures/target.ts";

describe.each([14, 18])("a reindex, on PostgreSQL %i", (major) => {
  const target = withTarget(major);

  const names = async (shop: Shop) =>
    (await shop.indexes()).map(({ name, valid }) => `${name}${valid ? "" : " invalid"}`);
  /** An invalid index, as a reindex leaves it. */
  const leave = async (shop: Shop, name: string): Promise<number> => {
    await shop.stranger.query(`create index ${name} on orders (note)`);
    await shop.admin.query(`update pg_index set indisvalid = false where indexrelid = '${name}'::regclass`);
    const [row] = await shop.admin.query<{ oid: number }>(`select '${name}'::regclass::oid::int as oid`);
    return row?.oid ?? 0;
  };
  /** Begun by a process that is no more. */
  const begun = async (shop: Shop, deployment: Deployment, copy: number | null): Promise<Deployment> => {
    const { deployments } = shop.context.store;
    const at = shop.context.clock.now();
    const step = { actor: "test", at, from: "approved", to: "building", event: "begin" } as const;
    const patch = { backend: { pid: 999_999, startedAt: "1" }, indexOid: copy };
    const next = await deployments.transition(deployment.id, { ...step, patch });
    if (next === null) throw new Error("not begun");
    return next;
  };

  test("that is interrupted drops the copy it held, and nothing that merely looks like one; and can be done again", async () => {
    const shop = await openShop(target());
    await shop.stranger.query("create index x on orders (note)");
    await leave(shop, "x_ccnew");
    const deployment = await reindexing(shop, "x");
    const { oid } = await standing(shop, "x");
    const holder = await holdSnapshot(target(), shop.database);
    const abort = new AbortController();
    const work = buildIndex({ ...shop.context, deployment, signal: abort.signal });
    await until("the copy was seen", async () => (await shop.events(deployment.id)).includes("notice"));
    expect(await names(shop)).toContain("x_ccnew1 invalid");
    abort.abort();
    const interrupted = await work;
    expect(interrupted).toMatchObject({ kind: "interrupted", leftover: false, deployment: { state: "approved" } });
    await holder.end();
    expect(await names(shop)).toEqual(["x", "x_ccnew invalid"]);
    expect((await standing(shop, "x")).oid).toBe(oid);
    if (interrupted.kind !== "interrupted") throw new Error("not interrupted");
    expect(await buildIndex({ ...shop.context, deployment: interrupted.deployment })).toMatchObject({ kind: "built" });
    expect((await standing(shop, "x")).oid).not.toBe(oid);
  });

  test("whose process died is taken up: what is proved ours is dropped, what is not stays", async () => {
    const shop = await openShop(target());
    await shop.stranger.query("create index x on orders (note)");
    const unseen = await begun(shop, await reindexing(shop, "x"), null);
    const copy = await leave(shop, "x_ccnew");
    expect(await reconcile(shop.context)).toMatchObject([
      { result: "missing", deployment: { id: unseen.id, state: "failed" } },
    ]);
    expect(await names(shop)).toEqual(["x", "x_ccnew invalid"]);

    await begun(shop, await reindexing(shop, "x"), copy);
    expect(await reconcile(shop.context)).toMatchObject([{ result: "removed", deployment: { state: "failed" } }]);
    expect(await names(shop)).toEqual(["x"]);
  });

  test("that ended without its process is found by name and definition, and told to the deployment the index belongs to", async () => {
    const shop = await openShop(target());
    const built = await createIndex({ ...shop.context, deployment: await shop.approved() });
    if (built.kind !== "built") throw new Error("not built");
    const { id, indexName } = built.deployment;
    await begun(shop, await reindexing(shop, indexName, id), null);
    await shop.stranger.query(`reindex index concurrently ${indexName}`);
    expect(await reconcile(shop.context)).toMatchObject([{ result: "adopted", deployment: { state: "done" } }]);
    const { oid } = await standing(shop, indexName);
    expect(await shop.context.store.deployments.get(id)).toMatchObject({ indexOid: oid, state: "verifying" });
  });
});
