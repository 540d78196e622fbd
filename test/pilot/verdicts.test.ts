import { describe, expect, test } from "vitest";
import { reindexIndex } from "../../src/pilot/index.ts";
import { pursueVerdicts } from "../../src/pilot/verdicts.ts";
import { systemClock } from "../../src/runtime/index.ts";
import { withTarget } from "../rollout/fixtures/target.ts";
import { openWired } from "./wired.ts";

describe("the evidence of an open verdict", () => {
  const target = withTarget(18);

  /** An index that waits for its verdict, and what observes it for so many blocks. */
  const openVerdict = async () => {
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
    const pursue = async (blocks: number) => {
      const { after, pauseMs } = await pursueVerdicts({
        ...shop.pilot,
        observe,
        rollout: shop.context,
        blockMs,
        waitMs: blocks * blockMs,
        noteUndecided: false,
        minimumBlocks: 5,
        excludeRoles: [],
      });
      return { seen: after.map(({ startedAt }) => startedAt.getTime()), pauseMs };
    };
    return { shop, pursue };
  };

  test("outlives a rebuild of another index, and not a build", async () => {
    const { shop, pursue } = await openVerdict();
    const { seen } = await pursue(2);
    expect(seen.length).toBeGreaterThan(0);
    const rebuilt = await reindexIndex(shop.pilot, { index: "x", actor: "ann", reason: "" });
    expect(rebuilt).toMatchObject({ outcome: { kind: "built" } });
    const { seen: more } = await pursue(1);
    expect(more).toEqual(expect.arrayContaining([...seen]));
    expect(await shop.attempt()).toMatchObject({ kind: "built" });
    for (const one of (await pursue(1)).seen) expect(more).not.toContain(one);
  });

  test("grows block by block until there is much, and then as often as the everyday load is observed", async () => {
    const { shop, pursue } = await openVerdict();
    const fresh = await pursue(40);
    expect(fresh.seen.length).toBeGreaterThan(1);
    expect(fresh.pauseMs).toBe(0);
    const begun = systemClock.now();
    for (let i = fresh.seen.length; i < 720; i += 1) {
      const block = { startedAt: begun, endedAt: begun, voidReason: null, statements: new Map() };
      await shop.context.store.observations.saveBlock(block, [], 18);
    }
    const old = await pursue(6);
    expect(old.seen).toHaveLength(721);
    expect(old.pauseMs).toBe(shop.pilot.settings.observeEveryMs);
    expect(await shop.attempt()).toMatchObject({ kind: "built" });
    expect((await pursue(1)).pauseMs).toBe(0);
  });
});
