import { beforeEach, describe, expect, test } from "vitest";
import { defaults, type Settings } from "../../src/config/index.ts";
import { maintain } from "../../src/pilot/index.ts";
import { until, withTarget } from "../rollout/fixtures/target.ts";
import { openWired, type Wired } from "./wired.ts";

/** Of each table how many of ten rows stay, and its indexes, each on random values. */
const tables = {
  watched: { stay: 1, indexes: ["watched_a"] },
  theirs: { stay: 2, indexes: ["theirs_a"] },
  twice: { stay: 3, indexes: ["twice_a", "twice_b"] },
  last: { stay: 4, indexes: ["last_a"] },
} as const;

describe("a run of rebuilds by a person", () => {
  const target = withTarget(18, { autovacuum: "off" });
  let shop: Wired;

  beforeEach(async () => {
    shop = await openWired(target());
    for (const [name, { stay, indexes }] of Object.entries(tables)) {
      await shop.admin.script(`create table ${name} as select n as id, gen_random_uuid() as a, gen_random_uuid() as b
        from generate_series(1, 80000) n`);
      for (const index of indexes) await shop.admin.script(`create index ${index} on ${name} (${index.slice(-1)})`);
      await shop.admin.script(`delete from ${name} where id % 10 >= ${String(stay)}`);
      await shop.admin.query("select pg_stat_force_next_flush()");
      await shop.admin.query(`vacuum analyze ${name}`);
      if (name !== "theirs") await shop.admin.script(`alter table ${name} owner to shop`);
    }
    await until("the counts have arrived", async () => {
      const fresh = await shop.admin.query(
        "select from pg_stat_user_tables where relname = any($1) and last_analyze is not null and n_mod_since_analyze = 0",
        [Object.keys(tables)],
      );
      return fresh.length === Object.keys(tables).length;
    });
  });

  const run = async (changes: Partial<Settings>) => {
    const settings: Settings = {
      ...defaults,
      modeOverrides: [{ schema: "public", table: "watched", mode: "advise" }],
      ...changes,
    };
    const { rebuilt, declined } = await maintain(
      { ...shop.pilot, settings },
      { rebuild: { actor: "ann" }, readBytes: 0 },
    );
    return {
      declined: declined.map(({ name, code }) => `${name} ${code}`),
      rebuilt: rebuilt.map(({ choice, result: { outcome } }) =>
        [choice.name, outcome?.kind, outcome?.kind === "refused" ? outcome.code : ""].join(" ").trim(),
      ),
    };
  };

  test("goes on after a table that may not be touched, and after one on which enough was built", async () => {
    const { declined, rebuilt } = await run({ buildsPerTablePerHour: 1 });
    expect(declined).toContain("public.watched_a mode");
    expect(rebuilt.toSorted()).toEqual([
      "public.last_a built",
      "public.theirs_a refused privilege_missing",
      expect.stringMatching(/^public.twice_[ab] (built|refused build_rate)$/),
      expect.stringMatching(/^public.twice_[ab] (built|refused build_rate)$/),
    ]);
    expect(rebuilt[0]).toContain("theirs");
    expect(rebuilt.at(-1)).toContain("last");
    expect(rebuilt.filter((one) => one.endsWith("build_rate"))).toHaveLength(1);
  });
});
