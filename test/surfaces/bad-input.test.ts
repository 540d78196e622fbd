import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type EmbeddedServer, startEmbedded } from "../../src/embedded/index.ts";
import { openSession, resolveConnection, type Session } from "../../src/postgres/index.ts";
import { indexpilot } from "./run.ts";

let server: EmbeddedServer;
let session: Session;
let files: string;

beforeAll(async () => {
  server = await startEmbedded({ major: 18 });
  session = await openSession(resolveConnection(server.url(), {}), "store");
  await session.query("create table t (id int primary key, v int)");
  await session.query("insert into t select g, g % 100 from generate_series(1, 20000) g");
  await session.query("analyze t");
  files = mkdtempSync(join(tmpdir(), "ip-files-"));
  writeFileSync(join(files, "good.sql"), "select * from t where v = 7;\n");
  writeFileSync(join(files, "broken.sql"), "select 1;\n\nselect from where;\n");
});

afterAll(async () => {
  rmSync(files, { recursive: true });
  await session.close();
  await server.stop();
});

const nothingChanged = async (): Promise<void> => {
  const rows = await session.query(
    "select (select count(*)::int from pg_indexes where schemaname = 'public') as indexes, to_regnamespace('indexpilot') is null as untouched",
  );
  expect(rows).toEqual([{ indexes: 1, untouched: true }]);
};

describe("bad input ends with a clear error, a remedy, its own exit code, and nothing changed", () => {
  test.each<[string, () => readonly string[], number, RegExp]>([
    ["an unknown command", () => ["tune"], 2, /unknown command 'tune'/],
    ["an unknown flag", () => ["advise", "--fast"], 2, /unknown option '--fast'/],
    [
      "a replica of nobody knows which target",
      () => {
        writeFileSync(
          join(files, "two.yaml"),
          "targets: [{ name: a, url: postgres://h/a }, { name: b, url: postgres://h/b }]",
        );
        return ["run", "--config", join(files, "two.yaml"), "--replica-url", "postgres://h/c"];
      },
      2,
      /--target NAME/,
    ],
    ["a budget of nothing", () => ["advise", "--url", server.url(), "--budget", "0"], 2, /size above zero/],
    ["a budget that is no size", () => ["advise", "--url", server.url(), "--budget", "lots"], 2, /250MB/],
    [
      "an engine that does not exist",
      () => ["advise", "--url", server.url(), "--what-if", "magic"],
      2,
      /shadow, hypopg/,
    ],
    ["a URL that is none", () => ["advise", "--url", "mysql://h/d"], 2, /postgres:\/\//],
    ["a server that is not there", () => ["doctor", "--url", "postgres://u@127.0.0.1:1/d"], 3, /127|localhost:1/],
    ["a database that is not there", () => ["advise", "--url", server.url("nope")], 3, /"nope" does not exist/],
    ["a role that is not there", () => ["advise", "--url", server.url("postgres", "ghost")], 3, /"ghost"/],
    [
      "files that match nothing",
      () => ["advise", "--url", server.url(), "--queries", join(files, "no*.sql")],
      2,
      /no\*\.sql/,
    ],
    [
      "a file that is not SQL",
      () => ["advise", "--url", server.url(), "--queries", join(files, "*.sql")],
      2,
      /broken\.sql:3: not valid SQL/,
    ],
    [
      "a damaged plan",
      () => {
        const damaged = join(files, "plan.json");
        const format = { format: "indexpilot plan", formatVersion: 1 };
        const target = { systemIdentifier: "1", databaseOid: 1, database: "d" };
        writeFileSync(damaged, JSON.stringify({ ...format, target, tables: [], controlIds: [], create: [{}] }));
        return ["apply", damaged, "--url", server.url()];
      },
      2,
      /plan\.json is not a plan: create\.0\.definition is missing or damaged/,
    ],
    [
      "a workload without pg_stat_statements",
      () => ["advise", "--url", server.url()],
      4,
      /create extension pg_stat_statements/,
    ],
    [
      "HypoPG where there is none",
      () => ["advise", "--url", server.url(), "--what-if", "hypopg", "--queries", join(files, "good.sql")],
      4,
      /create extension hypopg/,
    ],
    [
      "a rollback where nothing was built",
      () => ["rollback", "t_v_idx", "--url", server.url()],
      2,
      /has not changed anything/,
    ],
  ])("%s", async (_, args, code, message) => {
    const ran = await indexpilot(args());
    expect(ran.err).toMatch(message);
    expect(ran).toMatchObject({ code, out: "" });
    await nothingChanged();
  });

  test("a wrong password is told from a missing one", async () => {
    const guarded = await startEmbedded({ major: 18, access: "owner" });
    try {
      const url = new URL(guarded.url());
      url.password = "wrong";
      const wrong = await indexpilot(["doctor", "--url", url.href]);
      expect(wrong).toMatchObject({ code: 3, err: expect.stringContaining("password authentication failed") });
      expect(wrong.err).not.toContain("wrong@");
      url.password = "";
      const missing = await indexpilot(["doctor", "--url", url.href]);
      expect(missing).toMatchObject({ code: 3, err: expect.stringContaining("none was given") });
    } finally {
      await guarded.stop();
    }
  });

  test("a server before 14 is refused", async () => {
    const old = await startEmbedded({ major: 13 });
    try {
      for (const command of ["doctor", "advise", "apply"]) {
        const ran = await indexpilot([command, "--url", old.url()]);
        expect(ran).toMatchObject({ code: 4, err: expect.stringMatching(/PostgreSQL 13.* too old[^]*14 to 18/) });
      }
    } finally {
      await old.stop();
    }
  });

  test("an empty workload says how to get one", async () => {
    await session.query("create database quiet");
    const inside = await openSession(resolveConnection(server.url("quiet"), {}), "store");
    await inside.query("create extension pg_stat_statements");
    await inside.close();
    const ran = await indexpilot(["advise", "--url", server.url("quiet")]);
    expect(ran).toMatchObject({ code: 2, err: expect.stringContaining("--queries") });
  });

  test("with --json the error is a JSON document on standard output", async () => {
    const ran = await indexpilot(["advise", "--url", server.url("nope"), "--json"]);
    expect(ran.code).toBe(3);
    expect(JSON.parse(ran.out)).toMatchObject({ error: { code: "database_missing", remedy: expect.any(String) } });
  });
});

describe("the manual", () => {
  test("lists every command, and each command explains its flags", async () => {
    const manual = await indexpilot(["--help"]);
    expect(manual.code).toBe(0);
    const commands = [
      "demo",
      "doctor",
      "advise",
      "explain",
      "snapshot",
      "apply",
      "verify",
      "status",
      "history",
      "rollback",
    ];
    for (const command of commands) {
      expect(manual.out).toMatch(new RegExp(`^  ${command} `, "m"));
      expect(await indexpilot([command, "--help"])).toMatchObject({ code: 0, out: expect.stringContaining("--json") });
    }
  });

  test("the version is the package's", async () => {
    expect(await indexpilot(["--version"])).toMatchObject({ code: 0, out: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) });
  });
});
