import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Catalog, Workload } from "../../src/domain/index.ts";
import { availableMajors, type EmbeddedServer, startEmbedded } from "../../src/embedded/index.ts";
import { readCatalog, type Session } from "../../src/postgres/index.ts";
import { analyseAccess, parseStatement, toSelect } from "../../src/sql/index.ts";
import {
  bindingFor,
  blockBetween,
  buildWorkload,
  readStatementsSnapshot,
  resolversFor,
  type StatementsSnapshot,
  workloadFromFiles,
} from "../../src/workload/index.ts";
import { connect, makeShop, traffic } from "./shop.ts";

const majors = [14, 15, 16, 17, 18].filter((major) => availableMajors().includes(major));

/** The texts that the server cannot plan, as the application's role. */
const unplannable = async (session: Session, texts: readonly string[]): Promise<readonly string[]> => {
  const failures: string[] = [];
  const all = session.script(texts.map((text) => `explain ${text}`).join(";"));
  const fine = await all.then(
    () => true,
    () => false,
  );
  for (const text of fine ? [] : texts) {
    try {
      await session.script(`explain ${text}`);
    } catch (error) {
      failures.push(`${error instanceof Error ? error.message : String(error)}: ${text}`);
    }
  }
  return failures;
};

const bindingsOf = (workload: Workload): readonly string[] =>
  workload.statements.flatMap(({ bindings }) => bindings.map(({ sql }) => sql));

describe.each(majors)("on PostgreSQL %i", (major) => {
  let server: EmbeddedServer;
  let app: Session;
  let observer: Session;
  let catalog: Catalog;
  let before: StatementsSnapshot;
  let after: StatementsSnapshot;
  let workload: Workload;

  beforeAll(async () => {
    server = await startEmbedded({ major, settings: { "pg_stat_statements.max": "150" } });
    await makeShop(server);
    [app, observer] = await Promise.all([
      connect(server, "shop", "app"),
      connect(server, "shop", "observer", "observe"),
    ]);
    catalog = await readCatalog(observer);
    before = await readStatementsSnapshot(observer);
    for (const sql of traffic) await app.script(sql);
    for (let i = 0; i < 4; i += 1) await app.script(`select * from customers where id = ${i}`);
    after = await readStatementsSnapshot(observer, { previous: before });
    workload = buildWorkload({ from: before, to: after, catalog, seed: 1 });
  });
  afterAll(async () => {
    await Promise.all([app, observer].map((session) => session.close()));
    await server.stop();
  });

  it("sees every statement of the application, with its role and its search path", () => {
    const ofApp = workload.statements.filter(({ scope }) => scope.role === "app");
    expect(new Set(ofApp.map(({ scope }) => scope.searchPath.join()))).toEqual(new Set(["app"]));
    // The connection's own settings are utility statements or read catalogues; two texts share a shape only where lists differ.
    expect(ofApp.length).toBeGreaterThanOrEqual(traffic.length - 2);
    expect(workload.declined).toEqual([]);
    const lookup = ofApp.find(({ text }) => text === "select * from customers where id = $1");
    expect(lookup).toMatchObject({ label: "select customers", calls: 5, verb: "select" });
    expect(lookup?.rowsPerCall).toBeCloseTo(0.8, 6);
  });

  it("leaves out catalogues, utility statements, IndexPilot's schema, and roles that are excluded", async () => {
    const admin = await connect(server, "shop", "postgres");
    await admin.script("create schema indexpilot; create table indexpilot.blocks (id int)");
    await admin.script("select * from indexpilot.blocks where id = 1");
    await admin.script("select relname from pg_class c, pg_catalog.pg_namespace n where n.oid = c.relnamespace");
    await admin.script("select count(*) from app.customers");
    const texts = (snapshot: StatementsSnapshot) =>
      snapshot.rows.filter(({ scope }) => scope.role === "postgres").map(({ text }) => text);
    expect(texts(await readStatementsSnapshot(observer)).filter((text) => text?.startsWith("select "))).toEqual(
      expect.arrayContaining(["select count(*) from app.customers"]),
    );
    expect(texts(await readStatementsSnapshot(observer)).join()).not.toMatch(/indexpilot|pg_class|create/);
    expect(texts(await readStatementsSnapshot(observer, { excludeRoles: ["postgres"] }))).toEqual([]);
    await admin.script("drop schema indexpilot cascade");
    await admin.close();
  });

  it("fills parameters with values that the server can plan, none of them NULL", async () => {
    const bindings = bindingsOf(workload);
    expect(bindings.filter((sql) => /\$\d/.test(sql))).toEqual([]);
    expect(await unplannable(app, bindings)).toEqual([]);
    for (const { bindings: own } of workload.statements) {
      expect(own.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1, 9);
    }
  });

  it("finds rows with them, for they are real", async () => {
    const found = workload.statements.find(({ text }) => text === "select * from customers where id = $1");
    expect(found?.bindings.map(({ source }) => source)).toEqual(["statistics", "statistics", "statistics"]);
    for (const { sql } of found?.bindings ?? []) expect((await app.script(sql)).flat()).toHaveLength(1);
    const range = workload.statements.find(({ text }) => text.includes("created >= $1"));
    for (const { sql } of range?.bindings ?? []) {
      const [[row] = []] = await app.script<{ count: string }>(sql);
      expect(Number(row?.count)).toBeGreaterThan(0);
    }
  });

  it("has every statement ask for a value that is wanted, wherever it may", async () => {
    const resolverOf = resolversFor(catalog);
    const asking = (column: string, value: string): readonly string[] =>
      workload.statements.flatMap((statement) => {
        const resolver = resolverOf(statement.scope.searchPath);
        const sql = bindingFor(statement, { resolver, enums: catalog.enums, seed: 1 }, { column, value });
        return sql === null ? [] : [sql];
      });
    const wanted = [
      ...asking("id", "1234"),
      ...asking("customer_id", "1234"),
      ...asking("uid", "'81dc9bdb-52d0-4dc2-0036-dbd8313ed055'::uuid"),
      ...asking("status", "'new'::text"),
    ];
    expect(wanted.filter((sql) => /\$\d/.test(sql))).toEqual([]);
    expect(await unplannable(app, wanted)).toEqual([]);
    expect(wanted).toContain("select * from customers where id = 1234");
    expect(wanted.join("\n")).toMatch(/id = any \(array\[1234\]\)/);
    expect(wanted.join("\n")).toMatch(/customer_id in \(1234\b.*\) and status = 'done'/);
    expect(wanted.join("\n")).toMatch(/where uid (= |in \()'81dc9bdb-52d0-4dc2-0036-dbd8313ed055'::uuid/);
    expect(asking("score", "1")).toEqual([]);
  });

  it("draws the same values from the same seed", () => {
    const again = buildWorkload({ from: before, to: after, catalog, seed: 1 });
    expect(again).toEqual(workload);
    const other = buildWorkload({ from: before, to: after, catalog, seed: 2 });
    expect(bindingsOf(other)).not.toEqual(bindingsOf(workload));
    expect(other.statements.map(({ id }) => id)).toEqual(workload.statements.map(({ id }) => id));
  });

  it("gives every write that scans a SELECT that the server can plan", async () => {
    const selects = bindingsOf(workload).map(toSelect);
    expect(await unplannable(observer, selects.filter((sql) => sql !== null).map(qualified))).toEqual([]);
    const impossible = workload.statements.filter(({ bindings }) => toSelect(bindings[0]?.sql ?? "") === null);
    expect(impossible.every(({ text }) => /^insert .* values /i.test(text))).toBe(true);
  });

  it("counts the same in blocks and workload", () => {
    const block = blockBetween(before, after);
    expect(block.voidReason).toBeNull();
    for (const { id, calls, totalMs } of workload.statements) {
      expect(block.statements.get(id)).toMatchObject({ calls, totalMs });
    }
    expect(after.statements.map(({ id }) => id)).toEqual(expect.arrayContaining([...block.statements.keys()]));
  });

  it("plans whatever shape a statement has", async () => {
    const texts = fc.sample(shapes, { seed: 7, numRuns: 100 });
    const files = texts.map((text, i) => ({ path: `${i}.sql`, text }));
    const made = workloadFromFiles({ files, catalog, searchPath: ["app"], role: "app", seed: 3 });
    expect(made.declined).toEqual([]);
    expect(await unplannable(app, bindingsOf(made))).toEqual([]);
  });

  // From here on the counters are disturbed; the tests below stand in this order.
  it("says so when statements were thrown out", async () => {
    for (const what of ["id", "id, id", "id, id, id"]) await app.script(`select ${what} from customers where id = 0`);
    const early = await readStatementsSnapshot(observer);
    // More often than those, for the server throws out the least executed.
    const shapes = Array.from({ length: 250 }, (_, i) => `select ${"1,".repeat(i)} 1 from customers where id = 0`);
    await app.script(shapes.flatMap((text) => [text, text, text]).join(";"));
    const block = blockBetween(early, await readStatementsSnapshot(observer));
    expect(block.voidReason).toMatch(/to make room/);
  });

  it("says so when the counters were reset, and counts from there", async () => {
    const early = await readStatementsSnapshot(observer);
    const admin = await connect(server, "shop", "postgres");
    await admin.script("select monitoring.pg_stat_statements_reset()");
    await admin.close();
    await app.script("select * from customers where id = 99");
    const late = await readStatementsSnapshot(observer);
    expect(blockBetween(early, late).voidReason).toMatch(/was reset/);
    const since = buildWorkload({ from: early, to: late, catalog, seed: 1 });
    expect(since.statements.map(({ text, calls }) => [text, calls])).toContainEqual([
      "select * from customers where id = $1",
      1,
    ]);
    expect(since.observedFrom).toEqual(late.resetAt);
  });

  it("declines a text whose tables depend on where the session has wandered", async () => {
    const admin = await connect(server, "shop", "postgres");
    await admin.script("create schema other authorization app");
    await admin.close();
    await app.script("create table other.customers (id int); create table other.only_here (id int)");
    await app.script("select 5 from customers where id = 1; set search_path = other");
    await app.script("select 5 from customers where id = 1; select 6 from only_here where id = 1; reset search_path");
    const later = await readStatementsSnapshot(observer);
    const found = buildWorkload({ from: null, to: later, catalog: await readCatalog(observer), seed: 1 });
    expect(found.declined).toContainEqual(
      expect.objectContaining({
        label: "select only_here",
        reason: expect.stringMatching(/no table or view only_here under search path app/) as string,
      }),
    );
    // From 18 on the server itself takes equally named tables for one.
    const ambiguous = found.declined.filter(({ reason }) => /search path is not clear/.test(reason));
    expect(ambiguous.map(({ label }) => label)).toEqual(major < 18 ? ["select customers"] : []);
    await app.script("drop schema other cascade");
  });

  it("says what is missing", async () => {
    const blind = await connect(server, "shop", "blind", "observe");
    await expect(readStatementsSnapshot(blind)).rejects.toMatchObject({ code: "privilege_missing" });
    await blind.close();
    const elsewhere = await connect(server, "postgres", "observer", "observe");
    await expect(readStatementsSnapshot(elsewhere)).rejects.toMatchObject({
      code: "extension_missing",
      remedy: expect.stringMatching(/^create extension pg_stat_statements/) as string,
    });
    await elsewhere.close();
  });
});

// The observer's own search path differs.
const qualified = (sql: string): string =>
  sql
    .replaceAll(/\b(?<!\.)(customers|active_customers)\b(?!\.)/g, "app.$1")
    .replaceAll(/(?<![.\w])"Order"(?!\.)/g, 'app."Order"');

const column = fc.constantFrom(
  "id",
  "email",
  "country",
  "active",
  "mood",
  "score",
  "born",
  "created",
  "uid",
  "address",
  "odd",
);
const comparison = fc.constantFrom("=", "<>", "<", ">=");
const condition = fc.oneof(
  fc.tuple(column, comparison).map(([name, operator]) => `c.${name} ${operator} $?`),
  fc.tuple(column, comparison).map(([name, operator]) => `$? ${operator} ${name}`),
  column.map((name) => `${name} in ($?, $?)`),
  column.map((name) => `${name} = any ($?)`),
  column.map((name) => `${name} between $? and $?`),
  column.map((name) => `coalesce(${name}, $?) = $?`),
  column.map((name) => `${name} is not distinct from $?`),
  fc.tuple(column, column).map(([a, b]) => `(${a}, ${b}) < ($?, $?)`),
  fc.tuple(column, column).map(([a, b]) => `case when ${a} = $? then ${b} else $? end = $?`),
  fc.constantFrom(
    "email like $?",
    "odd not like $?",
    "tags @> $?",
    "data @> $?",
    "created > now() - $?",
    "born + $? > $?",
  ),
  column.map((name) => `exists (select from customers d where d.id = c.id and d.${name} = $?)`),
);
const where = fc
  .array(fc.tuple(fc.constantFrom("and", "or", "and not"), condition), { minLength: 1, maxLength: 4 })
  .map((parts) => parts.map(([word, text], i) => (i === 0 ? text : `${word} ${text}`)).join(" "));
const shapes = fc
  .oneof(
    where.map((text) => `select * from customers c where ${text} limit $?`),
    where.map((text) => `select count(*) from customers c where ${text}`),
    where.map((text) => `delete from customers c where ${text}`),
    fc.tuple(column, where).map(([name, text]) => `update customers c set ${name} = $? where ${text}`),
    fc
      .tuple(column, column, where)
      .map(
        ([a, b, text]) =>
          `select ${a}, max(${b === "active" || b === "uid" ? "id" : b}) from customers c where ${text} group by ${a} having count(*) > $?`,
      ),
  )
  .map((text) => {
    let n = 0;
    return text.replaceAll("$?", () => `$${String((n += 1))}`);
  })
  .filter((text) => {
    const parsed = parseStatement(text);
    return parsed.kind === "parsed" && analyseAccess(parsed.statement, () => undefined).unresolved.length > 0;
  });
