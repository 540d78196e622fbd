import { afterEach, describe, expect, test } from "vitest";
import { type Application, startApplication } from "../pilot/application.ts";
import { until, withTarget } from "../rollout/fixtures/target.ts";
import { type RunningDaemon, startDaemon } from "./daemons.ts";
import { openSteered } from "./steered.ts";

describe("a daemon, where canaries are used", () => {
  const target = withTarget(18);
  let daemon: RunningDaemon | null = null;
  let application: Application | null = null;
  afterEach(async () => {
    daemon?.drain();
    await daemon?.ended;
    await application?.stop();
  });

  test("lets what was approved serve a part of the application first, and then everybody, by itself", async () => {
    const shop = await openSteered(target());
    await shop.admin.query(
      "insert into orders (customer_id, created_at) select i % 5000, now() from generate_series(1, 60000) i",
    );
    await shop.admin.query("vacuum analyze orders");
    application = await startApplication(shop.url, shop.url, [
      {
        sql: "select count(*) from orders where customer_id = $1",
        values: (random) => [Math.floor(random() * 5000)],
      },
    ]);
    daemon = await startDaemon(shop.url, { canary: "on", canaryCalls: 20, canaryMaxMs: 600_000, mode: "approve" });
    await until("it serves everybody", async () => (await shop.state()) === "settled", 120_000);
    await until("nothing is on trial", async () => (await shop.context.store.experiments.open()).length === 0, 30_000);
    expect((await shop.indexes()).map(({ name }) => name)).toEqual(["orders_customer_id_idx"]);
    const settled = await shop.context.store.deployments.get(shop.deployment.id);
    expect(settled?.verdict).toMatchObject({ outcome: "better", exposure: "gate" });
    expect(application.errors).toEqual([]);
  });
});
