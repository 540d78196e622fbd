import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type EmbeddedServer, startEmbedded } from "../../src/embedded/index.ts";
import { openSession, resolveConnection } from "../../src/postgres/index.ts";
import { readSnapshotFile } from "../../src/snapshot/index.ts";
import { indexpilot } from "./run.ts";

/** Everything the advice says; what differs between two moments is left out. */
const withoutTime = (out: string): unknown => {
  const advice = JSON.parse(out) as { workload: { observedTo: unknown } };
  expect(advice.workload.observedTo).toEqual(expect.any(String));
  return { ...advice, workload: { ...advice.workload, observedTo: null } };
};

const secret = "geheimnis";

const schema = `
  create extension pg_stat_statements;
  create type mood as enum ('calm', 'wild');
  create table customers (id int primary key, email text, mood mood, tags text[]);
  insert into customers select n, '${secret}' || n % 700, (array['calm', 'wild']::mood[])[1 + n % 2], array['${secret}' || n % 3] from generate_series(1, 20000) n;
  create table orders (id int primary key, customer int references customers, total numeric, at timestamptz, note text);
  insert into orders select n, 1 + n % 20000, n % 10, '2024-01-01'::timestamptz + n * interval '1 minute', '${secret}' || n % 5 from generate_series(1, 60000) n;
  create statistics both_of on total, note from orders;
  create statistics of_expression on (upper(note)), (total + 1) from orders;
  create type span as range (subtype = text);
  create table spans (during span);
  insert into spans select span('${secret}' || n, '${secret}' || n || 'z') from generate_series(1, 300) n;
  create index lower_note on orders (lower(note));
  analyze;
  -- Stale: the ends of id and at have moved.
  insert into orders select n, 1 + n % 20000, n % 10, '2024-01-01'::timestamptz + n * interval '1 minute', '${secret}' from generate_series(60001, 70000) n;
  create role app login; grant all on all tables in schema public to app;
  create role watcher login in role pg_monitor, pg_read_all_data;
  select pg_stat_statements_reset();`;

const traffic = [
  ["select * from orders where customer = $1", [5]],
  [
    `/* ${secret} */ select count(*) /* user='${secret}' */ from orders where at > $1 and note = $2 -- ${secret}\n`,
    ["2024-02-01", secret],
  ],
  ["select * from orders where id > $1 order by id limit 10", [69_000]],
  [
    "select c.email, sum(o.total) from customers c join orders o on o.customer = c.id where c.email = $1 group by 1",
    [`${secret}7`],
  ],
  ["update orders set total = total + 1 where customer = $1", [7]],
  ["select * from customers where mood = $1 and tags @> $2 limit 5", ["wild", [secret]]],
] as const;

describe.each([15, 18])("a snapshot of PostgreSQL %i", (major) => {
  let server: EmbeddedServer;
  let url: readonly string[];
  let directory: string;
  let file: string;

  beforeAll(async () => {
    server = await startEmbedded({ major, settings: { autovacuum: "off" } });
    directory = mkdtempSync(join(tmpdir(), "ip-snapshot-"));
    file = join(directory, "shop.json");
    const admin = await openSession(resolveConnection(server.url(), {}), "store");
    await admin.script(schema);
    await admin.close();
    const app = await openSession(resolveConnection(server.url("postgres", "app"), {}), "store");
    for (const [sql, parameters] of traffic) for (let i = 0; i < 4; i += 1) await app.query(sql, parameters);
    await app.close();
    url = ["--url", server.url("postgres", "watcher"), "--build-url", server.url()];
    expect(await indexpilot(["snapshot", ...url, "--out", file])).toMatchObject({
      code: 0,
      err: expect.stringContaining("contain values of your data"),
    });
  });
  afterAll(async () => {
    await server.stop();
    rmSync(directory, { recursive: true });
  });

  test("does not take what it asked itself for the application's, even as the only role", async () => {
    const alone = ["--url", server.url()];
    const labels = async (): Promise<unknown> => {
      const { out } = await indexpilot(["advise", ...alone, "--json"]);
      return (JSON.parse(out) as { queries: { text: string }[] }).queries.map(({ text }) => text).toSorted();
    };
    expect(await labels()).toHaveLength(traffic.length);
    expect(await labels()).toHaveLength(traffic.length);
  });

  test("gives the advice that the target itself gives, without any connection", async () => {
    const live = await indexpilot(["advise", ...url, "--json"]);
    await server.stop();
    const frozen = await indexpilot(["advise", "--snapshot", file, "--json"]);
    expect({ live: live.code, frozen: frozen.code }).toEqual({ live: 0, frozen: 0 });
    expect(withoutTime(frozen.out)).toEqual(withoutTime(live.out));
    const advice = JSON.parse(frozen.out) as { create: unknown[]; whatIf: { trusted: number }; queries: unknown[] };
    expect(advice.create.length).toBeGreaterThan(0);
    expect(advice.whatIf.trusted).toBeGreaterThan(0);
    expect(advice.queries).toHaveLength(traffic.length);
  });
});

describe("a snapshot file", () => {
  let server: EmbeddedServer;
  let url: readonly string[];
  let directory: string;
  const path = (name: string): string => join(directory, name);

  beforeAll(async () => {
    server = await startEmbedded({ major: 18, settings: { autovacuum: "off" } });
    directory = mkdtempSync(join(tmpdir(), "ip-snapshot-"));
    const admin = await openSession(resolveConnection(server.url(), {}), "store");
    await admin.script(schema);
    await admin.close();
    writeFileSync(
      path("one.sql"),
      `select * /* ${secret} */ from orders where note = '${secret}3' and customer = 12; -- ${secret}`,
    );
    url = ["--url", server.url("postgres", "watcher"), "--queries", path("one.sql")];
  });
  afterAll(async () => {
    await server.stop();
    rmSync(directory, { recursive: true });
  });

  test("is for its owner only, and replaces none unless told to", async () => {
    const file = path("kept.json");
    writeFileSync(file, "precious");
    chmodSync(file, 0o644);
    const refused = await indexpilot(["snapshot", ...url, "--out", file]);
    expect(refused).toMatchObject({ code: 2, err: expect.stringMatching(/exists already[^]*--force/) });
    expect(readFileSync(file, "utf8")).toBe("precious");
    expect(await indexpilot(["snapshot", ...url, "--out", file, "--force"])).toMatchObject({ code: 0 });
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect((await readSnapshotFile(file)).plans.size).toBe(1);
  });

  test("of files of SQL gives the same advice as the target does", async () => {
    const file = path("queries.json");
    expect((await indexpilot(["snapshot", ...url, "--out", file])).code).toBe(0);
    const live = await indexpilot(["advise", ...url, "--json"]);
    const frozen = await indexpilot(["advise", "--snapshot", file, "--json"]);
    expect(frozen.out).toBe(live.out);
    expect(JSON.parse(live.out)).toMatchObject({ whatIf: { trusted: 1 } });
  });

  test("holds no value when redacted, and then all its advice has low confidence", async () => {
    const [file, open] = [path("redacted.json"), path("open.json")];
    expect(await indexpilot(["snapshot", ...url, "--out", file, "--redact"])).toMatchObject({
      code: 0,
      err: expect.stringMatching(/low confidence/),
    });
    await indexpilot(["snapshot", ...url, "--out", open]);
    // `{…}` of the multi-column list is in hexadecimal.
    const hidden = [secret, Buffer.from(secret).toString("hex"), secret.toUpperCase()];
    expect(hidden.map((text) => readFileSync(open, "utf8").includes(text))).toEqual([true, true, true]);
    expect(hidden.map((text) => readFileSync(file, "utf8").includes(text))).toEqual([false, false, false]);
    const advised = await indexpilot(["advise", "--snapshot", file, "--json"]);
    expect(advised.code).toBe(0);
    const advice = JSON.parse(advised.out) as { create: { confidence: string; confidenceReason: string }[] };
    expect(advice.create.length).toBeGreaterThan(0);
    for (const one of advice.create) {
      expect(one).toMatchObject({ confidence: "low", confidenceReason: expect.stringContaining("no values") });
    }
  });

  test.each([
    ["another kind of file", '{"name": "indexpilot"}', /is not a snapshot/],
    ["half a file", '{"format": "indexpilot snapshot", "formatVersion": 1, "cata', /is not a snapshot/],
    ["a file without its parts", '{"format": "indexpilot snapshot", "formatVersion": 1}', /is not a snapshot/],
    ["a file of the future", '{"format": "indexpilot snapshot", "formatVersion": 2}', /newer IndexPilot/],
  ])("is told from %s", async (_, text, message) => {
    writeFileSync(path("other.json"), text);
    const ran = await indexpilot(["advise", "--snapshot", path("other.json")]);
    expect(ran).toMatchObject({ code: 2, out: "", err: expect.stringMatching(message) });
    expect(ran.err).toContain("remedy: ");
  });

  test.each([
    ["--url", "postgres://u@h/d"],
    ["--what-if", "hypopg"],
    ["--queries", "*.sql"],
    ["--seed", "7"],
  ])("and %s exclude each other", async (...flags) => {
    const ran = await indexpilot(["advise", "--snapshot", path("kept.json"), ...flags]);
    expect(ran).toMatchObject({ code: 2, err: expect.stringContaining("exclude each other") });
  });

  test("that is not there, or cannot be written, says so", async () => {
    expect(await indexpilot(["advise", "--snapshot", path("nowhere.json")])).toMatchObject({
      code: 2,
      err: expect.stringContaining("ENOENT"),
    });
    const out = path("no/such/directory.json");
    expect(await indexpilot(["snapshot", ...url, "--out", out])).toMatchObject({
      code: 2,
      err: expect.stringContaining("ENOENT"),
    });
    expect(existsSync(out)).toBe(false);
  });
});
