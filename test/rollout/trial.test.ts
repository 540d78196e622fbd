import { beforeEach, describe, expect, test } from "vitest";
import type { Deployment } from "../../src/domain/index.ts";
import {
  advance,
  dropStanding,
  hideIndex,
  reconcile,
  type RolloutContext,
  showIndex,
} from "../../src/rollout/index.ts";
import { approvedDrop } from "./fixtures/drop.ts";
import { openShop } from "./fixtures/rollout.ts";
import { one, withTarget } from "./fixtures/target.ts";

describe.each([14, 18])("trying without an index, on PostgreSQL %i", (major) => {
  const target = withTarget(major);
  let shop: Awaited<ReturnType<typeof openShop>>;
  let superuser: RolloutContext;
  let deployment: Deployment;
  const until = new Date("2026-01-02T03:04:05Z");

  beforeEach(async () => {
    shop = await openShop(target());
    superuser = { ...shop.context, build: await target().open(shop.database, "postgres", "build") };
    deployment = await approvedDrop(shop);
  });

  const hide = async (): Promise<Deployment> => {
    const hidden = await hideIndex(superuser, deployment, until);
    if (hidden.kind !== "done") throw new Error(hidden.reason);
    return hidden.deployment;
  };
  const valid = async () =>
    (
      await one<{ valid: boolean }>(
        shop.admin,
        "select indisvalid as valid from pg_index where indexrelid = 'theirs'::regclass",
      )
    ).valid;

  test("the planner sees it no more, also for statements that were planned before, while writes keep it up; and sees it again", async () => {
    const client = shop.stranger;
    await client.script(
      "set plan_cache_mode = force_generic_plan; prepare q as select id from orders where customer_id = $1",
    );
    const plan = async (): Promise<string> => JSON.stringify(await client.query("explain execute q(7)"));
    expect(await plan()).toContain("theirs");
    const trying = await hide();
    expect(trying.state).toBe("trying");
    expect(await plan()).not.toContain("theirs");
    await client.query("insert into orders (customer_id, created_at) values (-1, now())");
    expect(await showIndex(superuser, trying, "a test")).toMatchObject({
      kind: "done",
      deployment: { state: "rolled_back" },
    });
    expect(await plan()).toContain("theirs");
    await client.query("set enable_seqscan = off");
    expect(await client.query("select customer_id from orders where customer_id = -1")).toHaveLength(1);
    const { options } = await one<{ options: unknown }>(
      shop.admin,
      "select reloptions as options from pg_class where relname = 'orders'",
    );
    expect(options).toBeNull();
  });

  test("needs a superuser, and a permit", async () => {
    expect(await hideIndex(shop.context, deployment, until)).toMatchObject({
      kind: "refused",
      code: "superuser_needed",
    });
    const permits = () =>
      Promise.resolve({ kind: "refused", code: "stopped", reason: "a test", retryAt: null } as const);
    expect(await hideIndex({ ...superuser, permits }, deployment, until)).toMatchObject({
      kind: "refused",
      code: "stopped",
    });
    expect(await valid()).toBe(true);
  });

  test("a trial ends with the drop, by whoever owns the table", async () => {
    expect(await dropStanding({ ...shop.context, deployment: await hide() })).toMatchObject({
      kind: "dropped",
      deployment: { state: "done" },
    });
    expect(await shop.indexes()).toEqual([]);
  });

  test("a process that dies before it has hidden it is taken up; a trial that somebody ended by hand is over", async () => {
    await advance(shop.context, deployment, "hide", { actor: "test" });
    expect(await reconcile(superuser)).toMatchObject([{ result: "adopted", deployment: { state: "trying" } }]);
    expect(await valid()).toBe(false);
    expect(await reconcile(superuser)).toEqual([]);
    await shop.admin.query("update pg_index set indisvalid = true where indexrelid = 'theirs'::regclass");
    expect(await reconcile(superuser)).toMatchObject([{ result: "rolled_back", deployment: { state: "rolled_back" } }]);
    expect(await valid()).toBe(true);
  });
});
