import { writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type EmbeddedServer, startEmbedded } from "../../src/embedded/index.ts";
import { openSession, resolveConnection, type Session } from "../../src/postgres/index.ts";
import { until } from "../rollout/fixtures/target.ts";
import { indexpilot } from "./run.ts";

describe("a bloated database", () => {
  let server: EmbeddedServer;
  let admin: Session;
  const maintain = (...more: readonly string[]): ReturnType<typeof indexpilot> =>
    indexpilot(["maintain", "--json", "--url", server.url(), ...more]);
  const size = async (): Promise<number> =>
    Number((await admin.query<{ n: string }>("select pg_relation_size('t_value') as n"))[0]?.n);

  beforeAll(async () => {
    server = await startEmbedded({ major: 18, settings: { autovacuum: "off" } });
    const living = await openSession(resolveConnection(server.url(), {}), "build");
    await living.script(`create table t (id int primary key, value uuid);
      insert into t select n, gen_random_uuid() from generate_series(1, 120000) n; create index t_value on t (value);
      delete from t where id % 4 <> 0`);
    await living.script("vacuum t");
    await living.close();
    admin = await openSession(resolveConnection(server.url(), {}), "build");
    await admin.script("analyze t");
    await until(
      "the counts have arrived",
      async () =>
        (
          await admin.query(
            "select from pg_stat_all_tables where relname = 't' and last_analyze is not null and n_mod_since_analyze = 0",
          )
        ).length > 0,
    );
  });
  afterAll(async () => {
    await admin.close();
    await server.stop();
  });

  test("is brought under the threshold by maintain --yes, not where the mode forbids it, and the result is as predicted", async () => {
    const before = await size();
    const dry = JSON.parse((await maintain()).out) as {
      chosen: { name: string; neededBytes: number }[];
      rebuilt: unknown[];
    };
    expect(dry.chosen.map(({ name }) => name).toSorted()).toEqual(["public.t_pkey", "public.t_value"]);
    expect([dry.rebuilt, await size()]).toEqual([[], before]);

    const observing = join(dirname(server.dataDirectory), "observing.yaml");
    writeFileSync(observing, "mode: observe\n");
    const observed = await maintain("--yes", "--config", observing);
    expect({ code: observed.code, size: await size() }).toEqual({ code: 0, size: before });
    const { declined } = JSON.parse(observed.out) as { declined: { name: string; code: string }[] };
    expect(declined.filter(({ code }) => code === "mode").map(({ name }) => name)).toContain("public.t_value");

    const done = await maintain("--yes");
    const { rebuilt } = JSON.parse(done.out) as {
      rebuilt: { index: string; outcome: string; bytesPredicted: number; bytesAfter: number }[];
    };
    expect(done.code).toBe(0);
    expect(rebuilt.map(({ outcome }) => outcome)).toEqual(["built", "built"]);
    const value = rebuilt.find(({ index }) => index === "public.t_value");
    expect(value?.bytesAfter).toBe(await size());
    expect(await size()).toBeLessThan(0.4 * before);
    expect((value?.bytesPredicted ?? 0) / (value?.bytesAfter ?? 1)).toBeCloseTo(1, 1);
    // Told wherever somebody looks: what was, what was foretold, what came.
    const health = JSON.parse((await indexpilot(["health", "--json", "--url", server.url()])).out) as {
      rebuilt: { index: string; bytesBefore: number; bytesAfter: number; predictionError: number }[];
    };
    const told = health.rebuilt.find(({ index }) => index === "t_value");
    expect(told).toMatchObject({ bytesBefore: before, bytesAfter: await size() });
    expect(Math.abs(told?.predictionError ?? 1)).toBeLessThan(0.05);
    const line = /t_value.* MB → \d+ kB \(predicted \d+ kB, .* % off\)/s;
    for (const command of ["health", "history"]) {
      expect((await indexpilot([command, "--url", server.url()])).out).toMatch(line);
    }
    const again = JSON.parse((await maintain()).out) as { chosen: unknown[] };
    expect(again.chosen).toEqual([]);
  }, 240_000);
});
