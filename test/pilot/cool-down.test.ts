import { randomUUID } from "node:crypto";
import { describe, expect, test } from "vitest";
import { recentlyDeclinedDrops, withoutRecentlyRolledBack } from "../../src/pilot/cool-down.ts";
import { advance, dropStanding, findStanding, proposeDrop } from "../../src/rollout/index.ts";
import { on } from "../rollout/fixtures/rollout.ts";
import { withTarget } from "../rollout/fixtures/target.ts";
import { openWired, type Wired } from "./wired.ts";

const planned = (column: string) => ({
  definition: on("orders", column),
  predictedBytes: 1000,
  statementIds: ["s"],
  queries: ["select orders"],
  costBefore: 2,
  costAfter: 1,
  writeIds: [],
});

const proposed = async (shop: Wired, name: string) => {
  const [standing] = await findStanding(shop.admin, name);
  if (standing === undefined) throw new Error(`there is no index ${name}`);
  const drop = proposeDrop({
    id: randomUUID(),
    standing,
    rationale: { statementIds: [], costBefore: null, costAfter: null, reason: "a test wants it gone" },
    now: shop.clock.now(),
  });
  await shop.context.store.deployments.insert(drop, { event: "propose", actor: "indexpilot" });
  return drop;
};

describe("after a drop", () => {
  const target = withTarget(18);

  test("the same index is not built again within the cool-down, another one and a later time are", async () => {
    const shop = await openWired(target());
    await shop.stranger.query('create index "Theirs" on orders (note)');
    const approved = await advance(shop.context, await proposed(shop, "Theirs"), "approve", { actor: "ann" });
    if (approved === null) throw new Error("it was not approved");
    expect(await dropStanding({ ...shop.context, deployment: approved })).toMatchObject({ kind: "dropped" });
    const wanted = [planned("note"), planned("customer_id")];
    const allowed = async () =>
      (await withoutRecentlyRolledBack(shop.context.store, wanted, shop.pilot)).map(({ definition }) => definition);
    const pilot = { ...shop.pilot, clock: shop.clock };
    expect(await withoutRecentlyRolledBack(shop.context.store, wanted, pilot)).toEqual([planned("customer_id")]);
    expect((await shop.decisions()).at(-1)).toMatchObject({
      code: "cool_down",
      reason: expect.stringMatching(/^Theirs was dropped on .* within 7 days$/),
    });
    shop.pass(8 * 86_400);
    expect(await allowed()).toHaveLength(2);
  });

  test("one that somebody declined is not proposed again within the cool-down", async () => {
    const shop = await openWired(target());
    await shop.stranger.query("create index theirs on orders (note)");
    const drop = await proposed(shop, "theirs");
    const { store } = shop.context;
    const cooling = async () => [...recentlyDeclinedDrops(await store.deployments.list(), shop.pilot).keys()];
    expect(await cooling()).toEqual([]);
    await advance(shop.context, drop, "decline", { actor: "bob" });
    expect(await cooling()).toEqual([drop.indexOid]);
    shop.pass(8 * 86_400);
    expect(await cooling()).toEqual([]);
  });
});
