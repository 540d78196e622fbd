import { expect, test } from "vitest";
import { createIndex } from "../../src/rollout/index.ts";
import { on } from "../rollout/fixtures/rollout.ts";
import { until, withTarget } from "../rollout/fixtures/target.ts";
import { startDaemon, toLead } from "./daemons.ts";
import { openSteered } from "./steered.ts";

const target = withTarget(18);

test("a daemon that has nothing to observe for one index observes at once for the next that it has built", async () => {
  const shop = await openSteered(target());
  // Nothing was observed before, so that nothing can be compared.
  expect(await createIndex({ ...shop.context, deployment: shop.deployment })).toMatchObject({ kind: "built" });
  const daemon = await startDaemon(shop.url, { mode: "approve" });
  try {
    await toLead(daemon);
    await until("the first is looked at", () => Promise.resolve(daemon.standing.openVerdicts === 1));
    const second = await shop.approved(on("orders", "created_at"));
    const rationale = { ...second.rationale, comparison: { writeIds: [], controlIds: [] } };
    expect(await shop.context.store.deployments.revise(second.id, { rationale })).not.toBeNull();
    await shop.consent(second);
    const state = async () => (await shop.context.store.deployments.get(second.id))?.state;
    await until("the second is built", async () => (await state()) === "verifying", 60_000);
    const builtAt = (await shop.context.store.deployments.get(second.id))?.updatedAt;
    const since = async () =>
      (await shop.admin.query("select from indexpilot.block where started_at > $1", [builtAt])).length;
    await until("blocks are observed after it", async () => (await since()) > 3, 20_000);
  } finally {
    daemon.drain();
    await daemon.ended;
  }
});
