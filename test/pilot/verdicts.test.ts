import { describe, expect, test } from "vitest";
import { reindexIndex } from "../../src/pilot/index.ts";
import { pursueVerdicts } from "../../src/pilot/verdicts.ts";
import { withTarget } from "../rollout/fixtures/target.ts";
import { openWired } from "./wired.ts";

describe("the evidence of an open verdict", () => {
  const target = withTarget(18);

  test("outlives a rebuild of another index, and not a build", async () => {
    const shop = await openWired(target());
    await shop.admin.script("create extension pg_stat_statements; create index x on orders (note)");
    const { store } = shop.context;
    const now = new Date().toISOString();
    const evidence = { baselineFrom: now, baselineTo: now, writeIds: [], controlIds: [] };
    const approved = await shop.approved();
    const revised = await store.deployments.revise(approved.id, { rationale: { ...approved.rationale, evidence } });
    if (revised === null) throw new Error("it was not revised");
    expect(await shop.attempt({}, revised)).toMatchObject({ kind: "built", deployment: { state: "verifying" } });

    const observe = await target().open(shop.database, "postgres", "observe");
    const blockMs = 50;
    const pursue = async (blocks: number): Promise<readonly number[]> => {
      const { after } = await pursueVerdicts({
        ...shop.pilot,
        observe,
        rollout: shop.context,
        blockMs,
        waitMs: blocks * blockMs,
        noteUndecided: false,
        minimumBlocks: 5,
        excludeRoles: [],
      });
      return after.map(({ startedAt }) => startedAt.getTime());
    };
    const seen = await pursue(2);
    expect(seen.length).toBeGreaterThan(0);
    const rebuilt = await reindexIndex(shop.pilot, { index: "x", actor: "ann", reason: "" });
    expect(rebuilt).toMatchObject({ outcome: { kind: "built" } });
    const more = await pursue(1);
    expect(more).toEqual(expect.arrayContaining([...seen]));
    expect(await shop.attempt()).toMatchObject({ kind: "built" });
    for (const one of await pursue(1)) expect(more).not.toContain(one);
  });
});
