import { describe, expect, test } from "vitest";
import { refreshStatistics } from "../../src/pilot/refresh-statistics.ts";
import { one, withTarget } from "../rollout/fixtures/target.ts";
import { openWired } from "./wired.ts";

describe.each([14, 18])("stale statistics on PostgreSQL %i", (major) => {
  const target = withTarget(major);

  test("are made anew where the role may and the mode lets it, nobody waits for a lock, and each answer is on record", async () => {
    const shop = await openWired(target());
    const { owner } = await one<{ owner: string }>(
      shop.admin,
      "select relowner::regrole::text as owner from pg_class where oid = 'public.orders'::regclass",
      [],
    );
    await shop.admin.script(`
      create table ours as select i from generate_series(1, 900) i; alter table ours owner to ${owner};
      create table locked as select i from generate_series(1, 900) i; alter table locked owner to ${owner};
      create table theirs as select i from generate_series(1, 900) i;
      create schema kept; create table kept.t as select i from generate_series(1, 900) i; alter table kept.t owner to ${owner};
      grant usage on schema kept to ${owner}; analyze orders; analyze customers`);
    const holder = await target().open(shop.database, "postgres");
    await holder.script("begin; lock table locked in share update exclusive mode");
    const context = {
      ...shop.pilot,
      settings: { ...shop.pilot.settings, modeOverrides: [{ schema: "kept", mode: "observe" as const }] },
    };
    const codes = async () =>
      Object.fromEntries((await refreshStatistics(context, "ann")).map(({ table, code }) => [table.name, code]));
    expect(await codes()).toEqual({ ours: "stale", locked: "gave_way", theirs: "privilege_missing", t: "mode" });
    const rows = (name: string) =>
      one<{ rows: number }>(shop.admin, "select reltuples::int as rows from pg_class where relname = $1", [name]);
    expect([await rows("ours"), await rows("locked"), await rows("theirs")]).toEqual([
      { rows: 900 },
      { rows: -1 },
      { rows: -1 },
    ]);
    await holder.script("rollback");
    expect(await codes()).toEqual({ locked: "stale", theirs: "privilege_missing", t: "mode" });
    const recorded = (await shop.decisions()).filter(({ rule }) => rule === "pilot.refresh_statistics");
    expect(recorded.map(({ code, outcome }) => `${code} ${outcome}`).toSorted((a, b) => (a < b ? -1 : 1))).toEqual([
      "gave_way refused",
      "mode refused",
      "mode refused",
      "privilege_missing refused",
      "privilege_missing refused",
      "stale done",
      "stale done",
    ]);
  });
});
