import { describe, expect, test } from "vitest";
import { checkHealth } from "../../src/pilot/index.ts";
import { hideIndex } from "../../src/rollout/index.ts";
import { healthPage } from "../../src/surfaces/report/index.ts";
import { approvedDrop } from "../rollout/fixtures/drop.ts";
import { until, withTarget } from "../rollout/fixtures/target.ts";
import { openWired, type Wired } from "./wired.ts";

const look = async (shop: Wired, name: string) => {
  const report = await checkHealth(shop.pilot, { record: true, readBytes: 0 });
  const found = report.indexes.find(({ judgement }) => judgement.name === name);
  if (found === undefined) throw new Error(`there is no index ${name}`);
  return found;
};

/** ANALYZE as often as it takes: counts of sessions that have ended arrive late. */
const analyzed = (shop: Wired): Promise<void> =>
  until("the counts have arrived", async () => {
    await shop.admin.query("analyze t");
    const rows = await shop.admin.query(
      "select from pg_stat_all_tables where relname = 't' and last_analyze is not null and n_mod_since_analyze = 0 and n_live_tup > 0",
    );
    return rows.length > 0;
  });

describe("the health of an index that is hidden on trial", () => {
  const target = withTarget(18);

  test("is told as a trial, without a remedy, and nobody is asked to do anything about it", async () => {
    const shop = await openWired(target());
    const superuser = { ...shop.context, build: await target().open(shop.database, "postgres", "build") };
    const approved = await approvedDrop(shop);
    expect(await hideIndex(superuser, approved, null)).toMatchObject({ kind: "done" });

    const report = await checkHealth(shop.pilot, { record: false, readBytes: 0 });
    const found = report.indexes.find(({ judgement }) => judgement.name === "theirs");
    expect(found?.judgement).toMatchObject({ standing: "on_trial", remedy: null });
    const page = healthPage(report, true);
    expect(page).toContain("On trial");
    expect(page).not.toContain("Remove what a failed build left");
  });
});

describe.each([14, 18])("the health of an index on PostgreSQL %i", (major) => {
  const target = withTarget(major, { autovacuum: "off" });

  test("that somebody rebuilt under another OID is told by what was seen of it before: its own size, and how soon bloat came back", async () => {
    const shop = await openWired(target());
    await shop.admin.script(
      "create table t (a int, b int); insert into t select n, n from generate_series(1, 30000) n; create index computed on t (abs(a)); alter table t owner to shop",
    );
    await analyzed(shop);
    const before = await look(shop, "computed");
    expect(before).toMatchObject({ bloat: { code: "no_baseline" }, returnedAfterDays: null });
    const { store } = shop.context;
    await store.scans.add(new Map([[before.judgement.oid, 5]]), shop.clock.now());
    await shop.stranger.query("reindex index concurrently computed");
    shop.pass(3600);
    const rebuilt = await look(shop, "computed");
    const { oid } = rebuilt.judgement;
    expect(oid).not.toBe(before.judgement.oid);
    expect([...(await store.scans.read())]).toEqual([[oid, 5]]);
    const samples = await store.samples.since(new Date(0), [oid, before.judgement.oid]);
    expect([samples.get(oid)?.length, samples.get(before.judgement.oid)]).toEqual([2, undefined]);

    shop.pass(86_400);
    const fresh = await look(shop, "computed");
    expect(fresh).toMatchObject({ bloat: { kind: "shown", method: "baseline", share: 0 }, returnedAfterDays: null });
    for (let i = 0; i < 2; i += 1) await shop.admin.query("update t set a = a + 30000");
    await shop.admin.query("vacuum t");
    await analyzed(shop);
    shop.pass(86_400);
    await look(shop, "computed");
    shop.pass(86_400);
    const again = await look(shop, "computed");
    expect(again.bloat).toMatchObject({ kind: "shown", method: "baseline" });
    expect(again.returnedAfterDays).toBeCloseTo(2, 1);
  });
});
