import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type EmbeddedServer, startEmbedded } from "../../src/embedded/index.ts";
import { openSession, resolveConnection, type Session } from "../../src/postgres/index.ts";
import { indexpilot } from "../surfaces/run.ts";

interface Advised {
  readonly whatIf: {
    readonly trusted: number;
    readonly blindSpots: readonly {
      readonly code: string;
      readonly tables: readonly string[];
      readonly remedy: string;
    }[];
  };
  readonly create: readonly { readonly confidence: string; readonly confidenceReason: string | null }[];
}

describe("advice", () => {
  let server: EmbeddedServer;
  let admin: Session;

  beforeAll(async () => {
    server = await startEmbedded({ major: 18, settings: { autovacuum: "off" } });
    admin = await openSession(resolveConnection(server.url(), {}), "store");
    await admin.script(`
      create extension pg_stat_statements;
      create role owner; create role app login; create role builder login; create role watcher login in role pg_monitor, pg_read_all_data;
      create schema shop; grant usage on schema shop to app;
      create table shop."Orders" (id int primary key, tenant int, total int);
      insert into shop."Orders" select n, n % 900, n from generate_series(1, 40000) n;
      alter table shop."Orders" owner to owner; grant select on shop."Orders" to app;
      alter role app set search_path = shop;
      analyze shop."Orders"; select pg_stat_statements_reset();`);
    const app = await openSession(resolveConnection(server.url("postgres", "app"), {}), "store");
    for (let n = 0; n < 20; n += 1) await app.query(`select * from "Orders" where tenant = $1`, [n]);
    await app.close();
  });
  afterAll(async () => {
    await admin.close();
    await server.stop();
  });

  const url = (user: string): string => server.url("postgres", user);
  const advise = async (): Promise<Advised> => {
    const ran = await indexpilot(["advise", "--url", url("watcher"), "--json"]);
    expect({ code: ran.code, err: ran.code === 0 ? "" : ran.err }).toEqual({ code: 0, err: "" });
    return JSON.parse(ran.out) as Advised;
  };
  const sound = { whatIf: { trusted: 1, blindSpots: [] }, create: [{ confidence: "high" }] };

  test("needs the observing role alone, and leaves nothing behind", async () => {
    expect(await advise()).toMatchObject(sound);
    expect(await admin.query("select to_regnamespace('indexpilot') is null as untouched")).toEqual([
      { untouched: true },
    ]);
  });

  test.each([
    [
      "a table may not be read",
      "revoke pg_read_all_data from watcher",
      "not_readable",
      "grant pg_read_all_data to watcher;",
    ],
    [
      "row-level security hides its statistics",
      'alter table shop."Orders" enable row level security; create policy own on shop."Orders" using (tenant < 800); revoke pg_read_all_data from watcher; grant usage on schema shop to watcher; grant select on shop."Orders" to watcher',
      "row_level_security",
      "grant pg_read_all_data to watcher;",
    ],
  ])("is doubted where %s, and its remedy is enough", async (_, make, code, remedy) => {
    await admin.script(make);
    const doubted = await advise();
    expect(doubted.whatIf.blindSpots).toMatchObject([{ code, tables: ['shop."Orders"'], remedy }]);
    for (const one of doubted.create) {
      expect(one).toMatchObject({ confidence: "low", confidenceReason: expect.stringContaining(remedy) });
    }
    const told = await indexpilot(["advise", "--url", url("watcher")]);
    expect(told.out).toContain(remedy);
    await admin.script(doubted.whatIf.blindSpots[0]?.remedy ?? "");
    expect(await advise()).toMatchObject(sound);
    await admin.script(
      'alter table shop."Orders" disable row level security; drop policy if exists own on shop."Orders"; revoke usage on schema shop from watcher; revoke select on shop."Orders" from watcher',
    );
  });

  test("is preceded by a doctor that ends with 1 where there is a problem, and with 0 where there is none", async () => {
    const doctor = async (): Promise<{ code: number | null; problems: number }> => {
      const ran = await indexpilot(["doctor", "--url", url("watcher"), "--json"]);
      return { code: ran.code, problems: (JSON.parse(ran.out) as { problems: number }).problems };
    };
    expect(await doctor()).toEqual({ code: 0, problems: 0 });
    await admin.script("revoke pg_read_all_data from watcher");
    expect(await doctor()).toEqual({ code: 1, problems: 1 });
    await admin.script("grant pg_read_all_data to watcher");
  });

  test("without the right to see others' statements says which grant shows them", async () => {
    await admin.script("revoke pg_monitor from watcher");
    const ran = await indexpilot(["advise", "--url", url("watcher"), "--json"]);
    expect(ran.code).toBe(4);
    const { error } = JSON.parse(ran.out) as { error: { code: string; remedy: string } };
    expect(error.code).toBe("privilege_missing");
    await admin.script(error.remedy);
    expect(await advise()).toMatchObject(sound);
  });

  test("is applied by a role that owns the table only; the grants are told before anybody waits, and are enough", async () => {
    await admin.script("grant create on database postgres to builder; grant pg_read_all_stats to builder");
    const apply = [
      "apply",
      "--url",
      url("watcher"),
      "--build-url",
      url("builder"),
      "--yes",
      "--baseline",
      "1s",
      "--block",
      "500ms",
      "--json",
    ];
    const refused = await indexpilot(apply);
    expect(refused.code).toBe(4);
    const { error } = JSON.parse(refused.out) as { error: { code: string; remedy: string } };
    expect(error).toMatchObject({
      code: "privilege_missing",
      remedy: "grant owner to builder; grant usage, create on schema shop to builder;",
    });
    await admin.script(error.remedy);
    const applied = await indexpilot(apply);
    expect({ code: applied.code, err: applied.code === 0 ? "" : applied.err }).toEqual({ code: 0, err: "" });
    expect(await admin.query("select 1 from pg_indexes where schemaname = 'shop'")).toHaveLength(2);
    const [recorded] = await admin.query<{ inputs: { calibrations: unknown; create: unknown } }>(
      "select inputs from indexpilot.decision where subject = 'advise' order by at desc limit 1",
    );
    expect(recorded?.inputs.calibrations).toMatchObject([{ confidence: "trusted", reason: null }]);
    expect(recorded?.inputs.create).toMatchObject([{ confidence: { level: "high" } }]);
  });
});
