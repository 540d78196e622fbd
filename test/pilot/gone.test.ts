import { beforeEach, describe, expect, test } from "vitest";
import type { Deployment } from "../../src/domain/index.ts";
import { findRollback, readStatus, rollBack } from "../../src/pilot/index.ts";
import { buildIndex, settleIndex } from "../../src/rollout/index.ts";
import { on } from "../rollout/fixtures/rollout.ts";
import { withTarget } from "../rollout/fixtures/target.ts";
import { indexpilot } from "../surfaces/run.ts";
import { openWired, type Wired } from "./wired.ts";

describe.each([15, 18])("an index of ours that somebody else has dropped, on PostgreSQL %i", (major) => {
  const target = withTarget(major);
  let shop: Wired;

  beforeEach(async () => {
    shop = await openWired(target());
  });

  /** Builds an index and keeps it. */
  const kept = async (name: string, column: string): Promise<Deployment> => {
    const built = await buildIndex({ ...shop.context, deployment: await shop.approved(on(name, column)) });
    if (built.kind !== "built") throw new Error(`it was not built: ${JSON.stringify(built)}`);
    const settled = await settleIndex(shop.context, built.deployment, {});
    if (settled.kind !== "settled") throw new Error(`it was not settled: ${JSON.stringify(settled)}`);
    return settled.deployment;
  };
  const state = async ({ id }: Deployment) => (await shop.context.store.deployments.get(id))?.state;

  test("is gone for status, and frees its part of the budget", async () => {
    const [dropped, other] = [await kept("orders", "customer_id"), await kept("orders", "note")];
    expect(await readStatus(shop.pilot)).toMatchObject({ gone: new Set() });
    const full = { budgetBytes: 100_000 + (other.sizeBytes ?? 0) };
    const again = await shop.approved(on("orders", "customer_id"));
    expect(await shop.attempt(full, again)).toMatchObject({ kind: "refused", code: "storage_budget" });
    await shop.stranger.query(`drop index ${dropped.indexName}`);
    expect(await readStatus(shop.pilot)).toMatchObject({ gone: new Set([dropped.id]), ownedBytes: other.sizeBytes });
    expect(await state(dropped)).toBe("settled");
    expect(await shop.attempt(full, again)).toMatchObject({ kind: "built" });
  });

  test("is not promised to be dropped, and ends when a person rolls it back", async () => {
    const dropped = await kept("orders", "customer_id");
    const run = (...args: readonly string[]) =>
      indexpilot([...args, "--url", target().server.url(shop.database, "builder")]);
    const index = dropped.indexName;
    expect((await run("rollback", index)).out).toContain("Would drop, concurrently");
    await shop.stranger.query(`drop index ${index}`);
    expect((await run("status")).out).toMatch(/settled, gone: dropped by others[^]*\n0 B are ours/);
    expect(JSON.parse((await run("status", "--json")).out)).toMatchObject({ gone: [dropped.id], ownedBytes: 0 });
    const dry = await run("rollback", index);
    expect(dry).toMatchObject({ code: 0, err: expect.stringContaining("records that it is gone") });
    expect(dry.out).toContain(`${index} is gone already, dropped by others`);
    expect((await run("rollback", index, "--yes")).out).toContain("was gone already; recorded");
    expect(await state(dropped)).toBe("rolled_back");
  });

  test("and that we built again stands once: that one is rolled back", async () => {
    const first = await kept("orders", "customer_id");
    await shop.stranger.query(`drop index ${first.indexName}`);
    const second = await kept("orders", "customer_id");
    expect(second.indexName).toBe(first.indexName);
    expect(await readStatus(shop.pilot)).toMatchObject({ gone: new Set([first.id]), ownedBytes: second.sizeBytes });
    expect(await findRollback(shop.pilot, first.indexName)).toMatchObject({
      deployment: { id: second.id },
      gone: false,
    });
    const outcome = await rollBack(shop.pilot, { index: first.indexName, actor: "ann" });
    expect(outcome).toMatchObject({ kind: "dropped", wasThere: true, deployment: { id: second.id } });
    expect(await shop.indexes()).toEqual([]);
  });

  test("is told from one that was renamed or rebuilt, but not by a comment that was copied", async () => {
    const deployment = await kept("orders", "customer_id");
    await shop.stranger.query(`alter index ${deployment.indexName} rename to theirs`);
    await shop.stranger.query("reindex index concurrently theirs");
    expect(await readStatus(shop.pilot)).toMatchObject({ gone: new Set(), ownedBytes: deployment.sizeBytes });
    await shop.admin.query("create table copies (like orders including all)");
    expect((await shop.indexes("copies")).map(({ comment }) => comment)).toEqual([`indexpilot:${deployment.id}`]);
    await shop.stranger.query("drop index theirs");
    expect(await readStatus(shop.pilot)).toMatchObject({ gone: new Set([deployment.id]), ownedBytes: 0 });
  });

  test("on a partitioned table is gone with its parts", async () => {
    await shop.admin.script(`
      create table public.visits (id int, page int) partition by range (id);
      create table public.visits_1 partition of public.visits for values from (0) to (10);
      create table public.visits_2 partition of public.visits for values from (10) to (20);
      alter table public.visits owner to shop; alter table public.visits_1 owner to shop; alter table public.visits_2 owner to shop;`);
    const whole = await kept("visits", "page");
    expect(await readStatus(shop.pilot)).toMatchObject({ gone: new Set(), ownedBytes: whole.sizeBytes });
    await shop.admin.query(`drop index ${whole.indexName}`);
    const parts = await shop.context.store.deployments.parts(whole.id);
    const gone = new Set([whole, ...parts].map(({ id }) => id));
    expect(gone.size).toBe(3);
    expect(await readStatus(shop.pilot)).toMatchObject({ gone, ownedBytes: 0 });
    const outcome = await rollBack(shop.pilot, { index: whole.indexName, actor: "ann" });
    expect(outcome).toMatchObject({ kind: "dropped", wasThere: false });
    expect((await readStatus(shop.pilot)).gone).toEqual(new Set());
  });
});
