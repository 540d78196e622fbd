import { describe, expect, test } from "vitest";
import { on, openContext } from "../rollout/fixtures/rollout.ts";
import { allMajors, withTarget } from "../rollout/fixtures/target.ts";
import { openWired } from "./wired.ts";

describe.each([allMajors[0], 15, 18])("builds that fail, on PostgreSQL %i", (major) => {
  const target = withTarget(major);

  test("open their table's breaker at the fifth; a trial is let through in time, and two good ones close it", async () => {
    const shop = await openWired(target());
    // Too long for an entry of a B-tree, whatever compression makes of it.
    await shop.admin.query(
      "update orders set note = (select string_agg(md5(i::text), '') from generate_series(1, 300) i) where id = 1",
    );
    for (let i = 0; i < 5; i += 1) expect(await shop.attempt()).toMatchObject({ kind: "failed", sqlState: "54000" });

    const deployment = await shop.approved(on("orders", "note"));
    const refused = await shop.attempt({}, deployment);
    expect(refused).toMatchObject({ kind: "refused", code: "circuit_open", reason: expect.stringContaining("54000") });
    if (refused.kind !== "refused" || refused.retryAt === null) throw new Error("no time to ask again");
    expect(await shop.events(deployment.id)).toEqual(["propose"]);
    // Other tables do not pay for it.
    expect(await shop.attempt({}, await shop.approved(on("customers", "name")))).toMatchObject({ kind: "built" });
    // Another process finds it open.
    const { store } = await openContext(target(), shop.database);
    expect(await store.circuits.get({ tableOid: deployment.tableOid })).toMatchObject({ phase: "open", failures: 5 });
    expect(await store.circuits.get("server")).toBeNull();

    shop.setTime(refused.retryAt);
    expect(await shop.attempt({}, deployment)).toMatchObject({ kind: "failed" });
    const again = await shop.attempt();
    expect(again).toMatchObject({ kind: "refused", code: "circuit_open" });
    const secondS =
      again.kind === "refused" ? ((again.retryAt?.getTime() ?? 0) - shop.clock.now().getTime()) / 1000 : 0;
    expect(secondS).toBeGreaterThan(110);
    expect(secondS).toBeLessThanOrEqual(120);

    await shop.admin.query("update orders set note = 'short' where id = 1");
    await shop.admin.query("vacuum orders");
    expect(await shop.attempt()).toMatchObject({ kind: "refused" });
    shop.pass(121);
    expect(await shop.attempt()).toMatchObject({ kind: "built" });
    expect(await store.circuits.get({ tableOid: deployment.tableOid })).toMatchObject({
      phase: "half_open",
      successes: 1,
    });
    expect(await shop.attempt({}, await shop.approved(on("orders", "created_at")))).toMatchObject({ kind: "built" });
    expect(await store.circuits.get({ tableOid: deployment.tableOid })).toMatchObject({ phase: "closed", failures: 0 });

    const phases = (await shop.decisions()).filter((one) => one.rule === "safeguards.circuit_breaker");
    expect(phases.map((one) => one.code)).toEqual([
      "circuit_open",
      "circuit_half_open",
      "circuit_open",
      "circuit_half_open",
      "circuit_closed",
    ]);
  });

  test("do not count when they were refused or gave way", async () => {
    const shop = await openWired(target());
    for (let i = 0; i < 6; i += 1)
      expect(await shop.attempt({ indexesPerTable: 0 })).toMatchObject({ code: "indexes_per_table" });
    expect(await shop.attempt()).toMatchObject({ kind: "built" });
    const [deployment] = await shop.context.store.deployments.list();
    expect(await shop.context.store.circuits.get({ tableOid: deployment?.tableOid ?? 0 })).toBeNull();
  });
});
