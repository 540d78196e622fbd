import { describe, expect, test } from "vitest";
import { openContext } from "../rollout/fixtures/rollout.ts";
import { until, withTarget } from "../rollout/fixtures/target.ts";
import { openWired } from "./wired.ts";

/** Each of them: a real act on a real server is refused with its reason, recorded, and goes on once the cause is gone. */
describe.each([15, 18])("the safeguards as the pilot wires them, on PostgreSQL %i", (major) => {
  const target = withTarget(major);

  test("hold a build back while the server is busier than usual, until it is well below that again", async () => {
    const shop = await openWired(target());
    // In another database: a build waits for the snapshots of its own.
    const busy = await Promise.all([1, 2, 3].map(() => target().open("postgres", "stranger", "build")));
    for (const session of busy) await session.query("set application_name = 'shop'");
    const asleep = busy.map((session) => session.query("select pg_sleep(60)").catch(() => null));
    const active = async () => {
      const rows = await shop.admin.query(
        "select from pg_stat_activity where state = 'active' and application_name = 'shop'",
      );
      return rows.length;
    };
    const wake = async (pid: number | undefined, left: number) => {
      await shop.admin.query("select pg_cancel_backend($1)", [pid]);
      await until(`${String(left)} are active`, async () => (await active()) === left);
    };
    await until("all are active", async () => (await active()) === 3);
    const deployment = await shop.approved();
    const one = { serverCores: 1, loadFloor: 2, loadCeiling: 2 };
    const refused = await shop.attempt(one, deployment);
    expect(refused).toMatchObject({
      kind: "refused",
      code: "load",
      reason: expect.stringMatching(/3 sessions .* above 2\.0/),
    });
    expect(refused.kind === "refused" && refused.retryAt !== null).toBe(true);
    await wake(busy[0]?.pid, 2);
    expect(await shop.attempt(one, deployment)).toMatchObject({ code: "load" });
    await wake(busy[1]?.pid, 1);
    expect(await shop.attempt(one, deployment)).toMatchObject({ kind: "built" });
    await wake(busy[2]?.pid, 0);
    await Promise.all(asleep);
    const { store } = await openContext(target(), shop.database);
    expect(await store.thresholds.get("load")).toMatchObject({ samples: [3], holding: false });
    expect((await shop.decisions()).map((decision) => decision.code)).toEqual(["load", "load"]);
  });
});
