import { describe, expect, test } from "vitest";
import { refreshStatistics } from "../../src/pilot/refresh-statistics.ts";
import { checkHealth } from "../../src/pilot/index.ts";
import { one, until, withTarget } from "../rollout/fixtures/target.ts";
import { openWired } from "./wired.ts";

const ann = { name: "ann", consents: true };

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
    /** The counters of 14 arrive a moment later. */
    const counted = (changed: number, ...names: readonly string[]) =>
      until("the counters know of it", async () => {
        const rows = await shop.admin.query(
          "select from pg_stat_user_tables where relname = any($1) and (last_analyze is not null) = ($2 = 0) and n_mod_since_analyze = $2",
          [names, changed],
        );
        return rows.length === names.length;
      });
    await counted(0, "orders", "customers");
    await counted(900, "ours", "locked", "theirs", "t");
    const codes = async () =>
      Object.fromEntries((await refreshStatistics(context, ann)).map(({ table, code }) => [table.name, code]));
    expect(await codes()).toEqual({ ours: "stale", locked: "gave_way", theirs: "privilege_missing", t: "mode" });
    const rows = (name: string) =>
      one<{ rows: number }>(shop.admin, "select reltuples::int as rows from pg_class where relname = $1", [name]);
    expect([await rows("ours"), await rows("locked"), await rows("theirs")]).toEqual([
      { rows: 900 },
      { rows: -1 },
      { rows: -1 },
    ]);
    await holder.script("rollback");
    await counted(0, "ours");
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

  test("are made anew after a failover, which forgets how old they are, so that bloat is known again", async () => {
    const shop = await openWired(target());
    await shop.admin.script(`create table t as select i from generate_series(1, 40000) i; create index t_i on t (i);
      alter table t owner to shop`);
    const bloat = async (): Promise<string> => {
      const { indexes } = await checkHealth(shop.pilot, { record: false, readBytes: 0 });
      const found = indexes.find(({ judgement }) => judgement.name === "t_i")?.bloat;
      return found?.kind === "withheld" ? found.code : "shown";
    };
    const settled = (code: string) => until(`its bloat is ${code}`, async () => (await bloat()) === code);
    await shop.admin.script("analyze t");
    await settled("shown");
    await shop.admin.query("select pg_stat_reset()");
    await settled("statistics_stale");
    // With nobody at the terminal only where the mode says so, and in the windows only.
    const nobody = { name: "indexpilot", consents: false };
    expect(await refreshStatistics(shop.pilot, nobody)).toEqual([]);
    const hour = (inHours: number): string =>
      new Date(shop.clock.now().getTime() + inHours * 3_600_000).toISOString().slice(11, 16);
    const days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"] as const;
    const later = [{ time_zone: "UTC", from: hour(3), to: hour(4), days: [...days] }];
    const settings = { ...shop.pilot.settings, mode: "autopilot" as const, maintenanceWindows: later };
    expect(await refreshStatistics({ ...shop.pilot, settings }, nobody)).toContainEqual(
      expect.objectContaining({ table: { schema: "public", name: "t" }, code: "maintenance_window" }),
    );
    expect(await refreshStatistics(shop.pilot, ann)).toContainEqual(
      expect.objectContaining({ table: { schema: "public", name: "t" }, done: true }),
    );
    await settled("shown");
  });
});
