import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type EmbeddedServer, startEmbedded } from "../../src/embedded/index.ts";
import { openSession, quoteIdentifier, resolveConnection, type Session } from "../../src/postgres/index.ts";
import { accessStatements } from "../../src/simulator/index.ts";
import { indexpilot } from "./run.ts";

const hostile = 'we"ird; drop table x';
const table = quoteIdentifier(hostile);

/** One connection of the application, asking the same few questions until it is told to stop. */
const traffic = async (url: string): Promise<() => Promise<void>> => {
  const client = new pg.Client(url);
  await client.connect();
  const told = new AbortController();
  const work = (async () => {
    for (let i = 0; !told.signal.aborted; i += 1) {
      await client.query(`select "Total €" from ${table} where "User Id" = $1`, [i % 5000]);
      await client.query(`insert into ${table} ("User Id", "Total €") values ($1, $2)`, [i % 5000, i]);
      await client.query("select label from elsewhere where id = $1", [i % 1000]);
    }
  })();
  return async () => {
    told.abort();
    await work;
    await client.end();
  };
};

// Each runs the whole loop several times; on a busy machine that takes a while.
describe.each([15, 18])("the loop on a database it has never seen, PostgreSQL %i", { timeout: 240_000 }, (major) => {
  let server: EmbeddedServer;
  let session: Session;
  let flags: readonly string[];

  beforeAll(async () => {
    server = await startEmbedded({ major });
    const superuser = await openSession(resolveConnection(server.url(), {}), "store");
    await superuser.query("create role owner nologin");
    await superuser.query("create role application login");
    await superuser.query("create database target owner owner");
    await superuser.close();
    session = await openSession(resolveConnection(server.url("target"), {}), "build");
    await session.query("create extension pg_stat_statements");
    await session.query("grant usage, create on schema public to owner");
    for (const statement of accessStatements({
      database: "target",
      schemas: ["public"],
      owner: "owner",
      observe: "observer",
      build: "builder",
      password: null,
    })) {
      await session.query(statement);
    }
    await session.script(`
      set role owner;
      create table ${table} ("User Id" int, "Total €" int);
      insert into ${table} select g % 5000, g from generate_series(1, 200000) g;
      create table elsewhere (id int primary key, label varchar(20));
      insert into elsewhere select g, 'label ' || g from generate_series(0, 999) g;
      grant all on all tables in schema public to application;
      reset role;`);
    await session.query("vacuum analyze");
    flags = ["--url", server.url("target", "observer"), "--build-url", server.url("target", "builder")];
  });

  afterAll(async () => {
    await session.close();
    await server.stop();
  });

  const indexes = async (): Promise<string[]> =>
    (
      await session.query<{ definition: string }>(
        "select pg_get_indexdef(i.indexrelid) as definition from pg_index i where i.indrelid = $1::regclass and i.indisvalid",
        [`public.${table}`],
      )
    ).map((row) => row.definition);

  test("advise, apply, status, history and rollback tell the same story, which the catalogue confirms", async () => {
    const stop = await traffic(server.url("target", "application"));
    try {
      const fast = ["--baseline", "12s", "--block", "1s"];
      await new Promise((resolve) => setTimeout(resolve, 1500));
      const advice = await indexpilot(["advise", ...flags, "--json"]);
      expect(advice).toMatchObject({ code: 0 });
      const { create, totals } = JSON.parse(advice.out) as {
        create: { definition: string; queries: string[]; costBefore: number; costAfter: number; confidence: string }[];
        totals: { whatIfCalls: number; costBefore: number; costAfter: number; sizeBytes: number };
      };
      expect(create).toHaveLength(1);
      expect(create[0]).toMatchObject({ confidence: "high", queries: [expect.stringContaining("select")] });
      expect(create[0]?.definition).toContain(`on public.${table} using btree ("User Id")`);
      expect(create[0]?.costAfter).toBeLessThan((create[0]?.costBefore ?? 0) / 5);
      expect(totals.costAfter).toBeLessThan(totals.costBefore);
      expect(await session.query("select to_regnamespace('indexpilot') as untouched")).toEqual([{ untouched: null }]);

      const dry = await indexpilot(["apply", ...flags]);
      expect(dry).toMatchObject({ code: 0, err: expect.stringContaining("dry run") });
      expect(await indexes()).toEqual([]);

      const applied = await indexpilot(["apply", ...flags, ...fast, "--yes", "--wait", "150s", "--json"]);
      expect(applied.err + applied.out).not.toContain("indexpilot: ");
      const report = JSON.parse(applied.out) as {
        builds: { name: string; outcome: string; sizeBytes: number; predictedBytes: number }[];
        verdicts: { outcome: string; result: string; change: number; writes: object | null }[];
      };
      expect(applied.code).toBe(0);
      expect(report.builds).toMatchObject([{ outcome: "built" }]);
      expect(report.verdicts, JSON.stringify(report.verdicts)).toMatchObject([{ outcome: "better", result: "kept" }]);
      expect(report.verdicts[0]?.change).toBeLessThan(-0.5);
      // Rows are inserted and never updated.
      expect(report.verdicts[0]?.writes).toMatchObject({
        walPerRowBefore: expect.any(Number),
        walPerRowAfter: expect.any(Number),
        hot: { shareBefore: null, shareAfter: null, change: null },
      });
      const [build] = report.builds;
      expect(Math.abs((build?.predictedBytes ?? 0) / (build?.sizeBytes ?? 1) - 1)).toBeLessThan(0.2);
      expect(await indexes()).toHaveLength(1);

      const again = await indexpilot(["apply", ...flags, ...fast, "--yes", "--json"]);
      expect(JSON.parse(again.out)).toMatchObject({ builds: [] });

      const status = await indexpilot(["status", ...flags]);
      expect(status.out).toMatch(/settled.*better/);
      const history = await indexpilot(["history", ...flags]);
      for (const step of [
        "proposed → approved",
        "approved → building",
        "building → verifying",
        "verifying → settled",
      ]) {
        expect(history.out).toContain(step);
      }

      const name = build?.name ?? "";
      expect(await indexpilot(["rollback", name, ...flags])).toMatchObject({
        code: 0,
        err: expect.stringContaining("dry run"),
      });
      expect(await indexes()).toHaveLength(1);
      expect(await indexpilot(["rollback", name, ...flags, "--yes"])).toMatchObject({
        code: 0,
        out: expect.stringContaining("dropped"),
      });
      expect(await indexes()).toEqual([]);

      const cooling = await indexpilot(["apply", ...flags, ...fast, "--yes"]);
      expect(cooling).toMatchObject({ code: 0, err: expect.stringContaining("not built again within 7 days") });
      expect(await indexes()).toEqual([]);
    } finally {
      await stop();
    }
  });

  test("a reviewed plan is carried out later, unless the database has moved on", async () => {
    const stop = await traffic(server.url("target", "application"));
    const directory = mkdtempSync(join(tmpdir(), "ip-plan-"));
    const file = join(directory, "plan.json");
    try {
      const advice = await indexpilot(["advise", ...flags.slice(0, 2), "--out", file, "--sql"]);
      expect(advice).toMatchObject({ code: 0, out: expect.stringMatching(/^create index concurrently on public\./m) });
      expect(statSync(file).mode & 0o777).toBe(0o600);
      expect(await indexpilot(["advise", ...flags, "--out", file])).toMatchObject({ code: 2 });
      const markdown = await indexpilot(["advise", ...flags, "--markdown"]);
      expect(markdown.out).toMatch(/^\| `create index on public\./m);

      expect(await indexpilot(["apply", file, ...flags])).toMatchObject({
        code: 0,
        err: expect.stringContaining("dry run"),
      });
      await session.query(`alter table ${table} add column note varchar(10)`);
      const fast = ["--yes", "--baseline", "1s", "--block", "1s"];
      expect(await indexpilot(["apply", file, ...flags, ...fast])).toMatchObject({
        code: 5,
        err: expect.stringContaining("have changed"),
      });
      await session.query(`alter table ${table} drop column note`);
      // Rolled back a moment ago by the test before: that stands between, and says so.
      const cooling = await indexpilot(["apply", file, ...flags, ...fast, "--json"]);
      expect(cooling).toMatchObject({ code: 0, err: expect.stringContaining("within 7 days") });
      expect(JSON.parse(cooling.out)).toMatchObject({ builds: [] });
      await session.query("update indexpilot.deployment set updated_at = updated_at - interval '8 days'");
      const applied = await indexpilot(["apply", file, ...flags, ...fast, "--json"]);
      expect(JSON.parse(applied.out), applied.out).toMatchObject({ builds: [{ outcome: "built" }] });
      expect(await indexes()).toHaveLength(1);
      expect(await indexpilot(["apply", file, ...flags, ...fast])).toMatchObject({
        code: 0,
        err: expect.stringContaining("1 of the plan's indexes (1) stand already"),
      });
      expect(await indexes()).toHaveLength(1);

      // Dropped by somebody else, it does not stand any more.
      const [{ name } = { name: "" }] = await session.query<{ name: string }>(
        "select index_name as name from indexpilot.deployment where state = 'verifying'",
      );
      await session.query(`drop index ${quoteIdentifier(name)}`);
      const again = await indexpilot(["apply", file, ...flags, ...fast, "--json"]);
      expect(JSON.parse(again.out), again.out).toMatchObject({ builds: [{ outcome: "built" }] });
      expect(await indexes()).toHaveLength(1);

      writeFileSync(file, "{}");
      expect(await indexpilot(["apply", file, ...flags])).toMatchObject({
        code: 2,
        err: expect.stringContaining("is not a plan"),
      });
    } finally {
      await stop();
      rmSync(directory, { recursive: true });
    }
  });

  test("an index of somebody else is not ours to roll back", async () => {
    await session.query("create index theirs on elsewhere (label)");
    expect(await indexpilot(["rollback", "theirs", ...flags, "--yes"])).toMatchObject({
      code: 5,
      err: expect.stringContaining("not made by IndexPilot"),
    });
    expect(await session.query("select to_regclass('theirs') is not null as there")).toEqual([{ there: true }]);
    await session.query("drop index theirs");
  });
});

describe("a command that is killed in the middle of a build", { timeout: 120_000 }, () => {
  let server: EmbeddedServer;
  let session: Session;

  beforeAll(async () => {
    server = await startEmbedded({ major: 18 });
    session = await openSession(resolveConnection(server.url(), {}), "build");
    await session.script(`
      create extension pg_stat_statements;
      create table t (id int, v int);
      insert into t select g, g % 20000 from generate_series(1, 200000) g;`);
    await session.query("vacuum analyze");
    for (let i = 0; i < 50; i += 1) await session.query("select id from t where v = $1", [i]);
  });
  afterAll(async () => {
    await session.close();
    await server.stop();
  });

  const until = async (sql: string): Promise<void> => {
    for (let i = 0; i < 600; i += 1) {
      const [row] = await session.query<{ yes: boolean }>(sql);
      if (row?.yes === true) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error(`never came true: ${sql}`);
  };

  const apply = (): readonly string[] => ["apply", "--url", server.url(), "--yes", "--baseline", "1s", "--block", "1s"];

  /** Starts `apply` and lets it come as far as a build that waits for a transaction of the application's. */
  const applyHeldUp = async (table: string): Promise<{ child: ChildProcess; letGo: () => Promise<void> }> => {
    const holder = await openSession(resolveConnection(server.url(), {}), "build");
    await holder.query("begin");
    await holder.query(`lock table ${table} in row exclusive mode`);
    const program = fileURLToPath(new URL("../../bin/indexpilot.js", import.meta.url));
    const child = spawn(process.execPath, [program, ...apply()]);
    await until(`select exists (select from pg_stat_progress_create_index where relid = '${table}'::regclass) as yes`);
    const letGo = async (): Promise<void> => {
      await holder.query("commit");
      await holder.close();
    };
    return { child, letGo };
  };

  test("leaves nothing to chance: the next start adopts its index, and the history says so", async () => {
    const { child, letGo } = await applyHeldUp("t");
    child.kill("SIGKILL");
    await letGo();
    // The backend ends its build, finds nobody there any more, and goes.
    await until(
      "select not exists (select from pg_stat_activity where application_name like 'indexpilot:%' and pid <> pg_backend_pid()) as yes",
    );

    const next = await indexpilot([...apply(), "--json"]);
    expect(JSON.parse(next.out), next.err).toMatchObject({ reconciled: [{ result: "adopted" }], builds: [] });
    const history = await indexpilot(["history", "--url", server.url(), "--json"]);
    const { events } = JSON.parse(history.out) as { events: { event: string }[] };
    expect(events.map((event) => event.event)).toContain("adopt");
    expect(
      await session.query(
        "select count(*)::int as n, bool_and(indisvalid) as valid from pg_index where indrelid = 't'::regclass",
      ),
    ).toEqual([{ n: 1, valid: true }]);

    // Taking it back needs nothing that counts statements.
    await session.query("drop extension pg_stat_statements");
    expect(await indexpilot(["rollback", "t_v_idx", "--url", server.url(), "--yes"])).toMatchObject({
      code: 0,
      out: expect.stringContaining("dropped"),
    });
    await session.query("create extension pg_stat_statements");
  });

  test("and Ctrl-C ends it cleanly, with nothing left behind", async () => {
    await session.query("create table u (id int, v int)");
    await session.query("insert into u select g, g % 20000 from generate_series(1, 200000) g");
    await session.query("vacuum analyze u");
    for (let i = 0; i < 50; i += 1) await session.query("select id from u where v = $1", [i]);
    const { child, letGo } = await applyHeldUp("u");
    const ended = new Promise<number | null>((resolve) => child.on("close", resolve));
    child.kill("SIGINT");
    // The leftover's removal needs the table to itself for a moment; the application's transaction ends like any other.
    await until("select not exists (select from pg_stat_progress_create_index) as yes");
    await letGo();
    expect(await ended).toBe(130);
    expect(await session.query("select count(*)::int as n from pg_index where indrelid = 'u'::regclass")).toEqual([
      { n: 0 },
    ]);
  });
});
