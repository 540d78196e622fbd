import { randomUUID } from "node:crypto";
import { describe, expect, test } from "vitest";
import { checkHealth } from "../../src/pilot/index.ts";
import { advance, findStanding, hideIndex, proposeDrop } from "../../src/rollout/index.ts";
import { systemClock } from "../../src/runtime/index.ts";
import { healthPage } from "../../src/surfaces/report/index.ts";
import { withTarget } from "../rollout/fixtures/target.ts";
import { openWired } from "./wired.ts";

describe("the health of an index that is hidden on trial", () => {
  const target = withTarget(18);

  test("is told as a trial, without a remedy, and nobody is asked to do anything about it", async () => {
    const shop = await openWired(target());
    const superuser = { ...shop.context, build: await target().open(shop.database, "postgres", "build") };
    await shop.admin.script("create index theirs on orders (customer_id); analyze orders");
    const [standing] = await findStanding(shop.admin, "theirs");
    if (standing === undefined) throw new Error("there is no index");
    const proposed = proposeDrop({
      id: randomUUID(),
      standing,
      rationale: { statementIds: [], costBefore: null, costAfter: null, reason: "a test" },
      now: systemClock.now(),
    });
    await shop.context.store.deployments.insert(proposed, { event: "propose", actor: "test" });
    const approved = await advance(shop.context, proposed, "approve", { actor: "test" });
    if (approved === null) throw new Error("it was not approved");
    expect(await hideIndex(superuser, approved, null)).toMatchObject({ kind: "done" });

    const report = await checkHealth(shop.pilot, { record: false, readBytes: 0 });
    const found = report.indexes.find(({ judgement }) => judgement.name === "theirs");
    expect(found?.judgement).toMatchObject({ standing: "on_trial", remedy: null });
    const page = healthPage(report, true);
    expect(page).toContain("On trial");
    expect(page).not.toContain("Remove what a failed build left");
  });
});
