import { randomUUID } from "node:crypto";
import { describe, expect, test } from "vitest";
import type { ChangePlan } from "../../src/pilot/change-plan.ts";
import { readHistory, readWaiting, rule } from "../../src/pilot/index.ts";
import { proposePlan } from "../../src/pilot/proposal.ts";
import type { Deployment } from "../../src/domain/index.ts";
import { proposeIndex } from "../../src/rollout/index.ts";
import { on } from "../rollout/fixtures/rollout.ts";
import { one, withTarget } from "../rollout/fixtures/target.ts";
import { openWired, type Wired } from "./wired.ts";

const tableOid = async (shop: Wired, table: string): Promise<number> =>
  (await one<{ oid: number }>(shop.admin, "select $1::regclass::oid as oid", [`public.${table}`])).oid;

const proposed = async (shop: Wired, table = "orders", column = "customer_id"): Promise<Deployment> => {
  const deployment = proposeIndex({
    id: randomUUID(),
    definition: on(table, column),
    tableOid: await tableOid(shop, table),
    predictedBytes: 100_000,
    rationale: { statementIds: [], costBefore: null, costAfter: null, reason: "a test wants it" },
    now: shop.clock.now(),
  });
  await shop.context.store.deployments.insert(deployment, { event: "propose", actor: "indexpilot" });
  return deployment;
};

const plan = async (shop: Wired, ...columns: readonly string[]): Promise<ChangePlan> => ({
  target: { systemIdentifier: "1", databaseOid: 1, database: "shop" },
  tables: [{ schema: "public", name: "orders", oid: await tableOid(shop, "orders"), structure: "" }],
  controlIds: [],
  drop: [],
  create: columns.map((column) => ({
    definition: on("orders", column),
    predictedBytes: 1000,
    statementIds: ["s"],
    queries: ["select orders"],
    costBefore: 2,
    costAfter: 1,
    writeIds: [],
  })),
});

describe("what waits for a person", () => {
  const target = withTarget(18);

  test("is not built before somebody said yes, whose name and reason are in the history; then it is", async () => {
    const shop = await openWired(target());
    const deployment = await proposed(shop);
    expect(await readWaiting(shop.pilot)).toMatchObject([{ id: deployment.id, state: "proposed" }]);
    // As if it had been approved by nobody.
    const unapproved = await shop.approved(on("orders", "note"));
    expect(await shop.attempt({}, unapproved, null)).toMatchObject({ kind: "refused", code: "not_approved" });

    const [approved] = await rule(shop.pilot, {
      verdict: "approve",
      subjects: [deployment.id.slice(0, 8)],
      actor: "ann",
      reason: "the shop is slow",
    });
    expect(approved).toMatchObject({ id: deployment.id, state: "approved" });
    expect(await readWaiting(shop.pilot)).toEqual([]);
    expect(await shop.attempt({}, approved, null)).toMatchObject({ kind: "built" });
    const { events } = await readHistory(shop.pilot);
    expect(events.find(({ event }) => event === "approve")).toMatchObject({
      actor: "ann",
      detail: { reason: "by ann: the shop is slow" },
    });
  });

  test("can be declined, also after it was approved, as long as it was not begun", async () => {
    const shop = await openWired(target());
    const first = await proposed(shop);
    await proposed(shop, "customers", "name");
    const ruling = { actor: "bob", reason: "" } as const;
    await rule(shop.pilot, { ...ruling, verdict: "approve", subjects: ["orders_customer_id_idx"] });
    expect(
      await rule(shop.pilot, { ...ruling, verdict: "decline", subjects: ["public.orders_customer_id_idx"] }),
    ).toMatchObject([{ id: first.id, state: "declined" }]);
    expect(await rule(shop.pilot, { ...ruling, verdict: "decline", subjects: "all" })).toMatchObject([
      { indexName: "customers_name_idx", state: "declined" },
    ]);
    await expect(rule(shop.pilot, { ...ruling, verdict: "approve", subjects: [first.id] })).rejects.toMatchObject({
      code: "usage",
      message: expect.stringContaining("nothing that waits"),
    });
  });

  test("keeps its place and its approval while analyses go on wanting it, and goes when one does not", async () => {
    const shop = await openWired(target());
    const { store } = shop.context;
    const deciding = { store, clock: shop.clock, actor: "indexpilot" };
    const both = await plan(shop, "customer_id", "created_at");
    const [kept, gone] = await proposePlan(deciding, both, both.create);
    await rule(shop.pilot, { verdict: "approve", subjects: [kept?.id ?? ""], actor: "ann", reason: "" });
    const later = await plan(shop, "customer_id", "note");
    const again = await proposePlan(deciding, later, later.create);
    expect(again.map(({ id, state }) => [id === kept?.id, state])).toEqual([
      [true, "approved"],
      [false, "proposed"],
    ]);
    expect(await store.deployments.get(gone?.id ?? "")).toMatchObject({ state: "declined" });
    // A person's word outlives an analysis that does not want it any more, where the caller says so.
    await proposePlan(deciding, later, [], ({ state }) => state === "proposed");
    expect((await store.deployments.list({ states: ["approved"] })).map(({ id }) => id)).toEqual([kept?.id]);
    expect(await readWaiting(shop.pilot)).toEqual([]);
  });
});
