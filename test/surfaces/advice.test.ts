import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createColors } from "picocolors";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { defaults } from "../../src/config/index.ts";
import { type EmbeddedServer, startEmbedded } from "../../src/embedded/index.ts";
import {
  advise,
  type Advice,
  adviceDocument,
  type ChangePlan,
  changePlan,
  explicandumDocument,
  findExplicandum,
  liveTarget,
  type PilotContext,
  workloadOfTraffic,
} from "../../src/pilot/index.ts";
import { openSession, resolveConnection, type Session } from "../../src/postgres/index.ts";
import { systemClock } from "../../src/runtime/index.ts";
import { adviceMarkdown, adviceSql } from "../../src/surfaces/cli/advice-text.ts";
import { showAdvice } from "../../src/surfaces/cli/advice-view.ts";
import { readPlanFile, writePlanFile } from "../../src/surfaces/cli/plan-file.ts";
import { showExplicandum } from "../../src/surfaces/cli/explicandum-view.ts";
import type { Terminal } from "../../src/surfaces/cli/terminal.ts";
import { indexpilot } from "./run.ts";

/** What a command writes to a terminal of so many columns, without colours. */
const written = (show: (terminal: Terminal) => void, width = Number.POSITIVE_INFINITY): string => {
  const lines: string[] = [];
  show({
    colors: createColors(false),
    width,
    out: (text) => void lines.push(text),
    err: () => undefined,
    alarm: () => undefined,
    status: () => undefined,
  });
  return lines.join("\n");
};

describe.each([14, 15, 18])("advice for a person, PostgreSQL %i", (major) => {
  let server: EmbeddedServer;
  let session: Session;
  let advice: Advice;

  const question = "select total from orders where customer_id = $1 and status = $2";
  const contextOf = (url: string): PilotContext => ({
    observe: resolveConnection(url, {}),
    build: resolveConnection(url, {}),
    settings: defaults,
    clock: systemClock,
    signal: new AbortController().signal,
    emit: () => undefined,
  });
  const advised = (measureWrites = false): Promise<Advice> =>
    advise({
      source: liveTarget(session, workloadOfTraffic(contextOf(server.url()), session, { observeMs: null, seed: 1 })),
      clock: systemClock,
      signal: new AbortController().signal,
      emit: () => undefined,
      budgetBytes: 1e9,
      whatIf: "shadow",
      maxColumns: 3,
      limits: defaults,
      measureWrites,
    });

  beforeAll(async () => {
    server = await startEmbedded({ major, settings: { autovacuum: "off", jit: "off" } });
    session = await openSession(resolveConnection(server.url(), {}), "build");
    await session.script(`
      create extension pg_stat_statements;
      create table orders (customer_id int not null, status int not null, total int, number int);
      insert into orders select (g::bigint * 7919) % 100, (g::bigint * 104729) % 50, g, g from generate_series(1, 100000) g;
      create index orders_customer on orders (customer_id);
      create unique index orders_unique on orders (customer_id, number);`);
    await session.query("vacuum analyze");
    await session.query("select pg_stat_statements_reset()");
    for (let i = 0; i < 20; i += 1) {
      await session.query(question, [i, i % 5]);
      await session.query("insert into orders values ($1, $2, $3, $4)", [i, i % 5, i, 200_000 + i]);
    }
    advice = await advised();
  });

  afterAll(async () => {
    await session.close();
    await server.stop();
  });

  test("says of each index whom it serves, what it takes, what writes pay, how sure that is, and what almost won", () => {
    const out = written((terminal) => showAdvice(advice, terminal));
    expect(out).toMatch(/ 1\. create index concurrently on public\.orders using btree \((customer_id|status), /);
    expect(out).toMatch(
      /gain +its queries .* → .* \(-\d+\.\d %\); beside the other indexes it saves .* of the workload/,
    );
    expect(out).toMatch(/serves +100 % +select orders \([0-9a-f]{6}\)/);
    expect(out).toMatch(/size +about .*, built in about /);
    expect(out).toMatch(/writes pay +about .* and .* of WAL a day at the observed rate/);
    expect(out).toMatch(/confidence +high/);
    expect(out).toMatch(/almost won +orders .*: the workload would cost .* more/);
    expect(out).toMatch(/In all +time of the observed period .* → /);
    expect(out).toMatch(/\d+ what-if calls to the shadow, \d+ questions answered without one/);
    // The server itself knows only before 15; later somebody must have reset them.
    expect(out.includes("since when those count is not known")).toBe(major >= 15);
  });

  test.each([80, 120])("fits a terminal of %i columns", (width) => {
    const out = written((terminal) => showAdvice(advice, terminal), width);
    const statement = /^ *(drop|create) index/;
    const long = out.split("\n").filter((line) => line.length > width && !statement.test(line));
    expect(long).toEqual([]);
  });

  test("proposes to drop what a new index makes superfluous, and never what is unique", () => {
    const { drop } = adviceDocument(advice);
    expect(drop.map(({ name, code, sql }) => [name, code, sql])).toEqual([
      ["orders_customer", "redundant_prefix", "drop index concurrently if exists public.orders_customer"],
    ]);
  });

  test("names what was left out by reason, the most frequent first, and how many more there are", () => {
    const hidden = {
      label: "81 statements of other roles",
      statements: 81,
      fingerprint: null,
      reason: "their texts are hidden from this role: grant pg_read_all_stats",
    };
    const others = Array.from({ length: 9 }, (_, n) => ({
      label: `select t${String(n)}`,
      fingerprint: null,
      reason: n < 3 ? "it uses no table directly" : `there is no table t${String(n)}`,
    }));
    const workload = { ...advice.workload, declined: [...others, hidden] };
    const leftOut = [{ object: "public.shapes", reason: "its type is unknown" }];
    const asked = advice.workload.statements.find(({ text }) => text === question);
    const failed = new Map([[asked?.id ?? "", "permission denied"]]);
    const some: Advice = { ...advice, workload, leftOut, failed };
    const out = written((terminal) => showAdvice(some, terminal));
    expect(out).toContain(", 90 left out\n");
    expect(out.match(/^ {2}(left out|not costed) .*/gm)).toEqual([
      `  left out 81 statements of other roles: ${hidden.reason}`,
      "  left out select t0 and 2 more: it uses no table directly",
      "  left out select t3: there is no table t3",
      "  left out select t4: there is no table t4",
      "  left out select t5: there is no table t5",
      "  left out select t6: there is no table t6",
      "  left out 2 more: for other reasons, each in --json",
      "  left out public.shapes: its type is unknown",
      expect.stringMatching(/^ {2}not costed select orders \([0-9a-f]{6}\): permission denied$/),
    ]);
    const markdown = adviceMarkdown(some);
    expect(markdown).toContain(`| left out | why |\n|---|---|\n| 81 statements of other roles | ${hidden.reason} |\n`);
    expect(markdown).toContain("\n| select t0 and 2 more | it uses no table directly |\n");
    expect(markdown).toMatch(/\n\| select orders \(\w+\) \| not costed: permission denied \|\n/);
    expect(adviceMarkdown(advice)).not.toContain("| left out |");
  });

  test("does not say that nothing pays where nothing could be costed", () => {
    const none = { ...advice, configuration: { ...advice.configuration, create: [] } };
    const failed = new Map(advice.workload.statements.map(({ id }) => [id, "permission denied"]));
    const said = (one: Advice): string => written((terminal) => showAdvice(one, terminal)) + adviceMarkdown(one);
    expect(said(none)).toMatch(/Create: nothing pays\n[^]*No index would pay\./);
    expect(said({ ...none, failed })).toMatch(
      /Create: nothing, for no statement could be costed\n[^]*No statement could be costed: nothing is known\./,
    );
  });

  test("has all of it in JSON, plans before and after included", () => {
    const document = adviceDocument(advice);
    const [first] = document.create;
    expect(document.unit).toBe("milliseconds");
    expect(first?.gains[0]?.share).toBeCloseTo(1);
    expect(first?.saving).toBeGreaterThan(0);
    expect(first?.buildMs).toBeGreaterThan(0);
    expect(first?.upkeep?.entries).toBe(20);
    expect(first?.upkeep?.ms).toBeGreaterThan(0);
    expect(first?.doubts).toEqual([]);
    expect(first?.alternative?.worseBy).toBeGreaterThanOrEqual(0);
    const [plans] = document.queries.flatMap((query) => query.plans);
    expect(plans?.before.join("\n")).toMatch(/ on orders /);
    expect(plans?.after.join("\n")).toContain("new [orders (");
  });

  test("explains one index in depth, by number or by name, and what else was considered on its table", () => {
    const explained = (what: string): string =>
      written((terminal) => showExplicandum(advice, findExplicandum(advice, what), terminal));
    const byNumber = explained("1");
    expect(byNumber).toContain("\n  before\n    ");
    expect(byNumber).toContain("\n  after\n    ");
    expect(byNumber).toMatch(/Considered on orders, and not chosen\n {2}orders /);
    const definition = /create index concurrently on .*/.exec(byNumber)?.[0] ?? "";
    expect(explained(`${definition};`)).toBe(byNumber);
    expect(explained("ORDERS  (customer_id)")).toMatch(/^\nNot chosen\n {2}orders \(customer_id\) {2}exists/);
  });

  test("explains one query in depth, by the beginning of its fingerprint", () => {
    const statement = advice.workload.statements.find(({ text }) => text === question);
    const found = findExplicandum(advice, statement?.fingerprint.slice(0, 6) ?? "");
    const out = written((terminal) => showExplicandum(advice, found, terminal));
    expect(out).toContain(question);
    expect(out).toContain("Served by");
    expect(explicandumDocument(advice, found)).toMatchObject({
      kind: "query",
      query: { text: question },
      indexes: [{ table: "public.orders" }],
    });
  });

  test("does not guess what it shall explain", () => {
    expect(() => findExplicandum(advice, "nonsense")).toThrow('nothing in the advice is called "nonsense"');
    expect(() => findExplicandum(advice, "9")).toThrow('nothing in the advice is called "9"');
  });

  test("is the same in a plan, a table for a pull request and a migration, drops apart", () => {
    const { create, drop } = changePlan(advice);
    expect(create).toHaveLength(1);
    expect(drop.map(({ name }) => name)).toEqual(["public.orders_customer"]);
    expect(adviceMarkdown(advice)).toContain("| almost won |");
    expect(adviceMarkdown(advice)).toContain("| drop (IndexPilot does not) |");
    const migration = adviceSql(advice);
    expect(migration).toContain("\ncreate index concurrently on public.orders");
    expect(migration).toContain("\n-- drop index concurrently if exists public.orders_customer;");
    // Nobody runs a drop by accident.
    expect(migration).not.toMatch(/^drop/m);
  });

  describe("a plan in a file", () => {
    let directory: string;
    beforeAll(() => {
      directory = mkdtempSync(join(tmpdir(), "ip-plan-"));
    });
    afterAll(() => rmSync(directory, { recursive: true }));

    test("is read as it was written, and one of before drops were recommended, too", async () => {
      const plan = changePlan(advice);
      const file = join(directory, "plan.json");
      await writePlanFile(file, plan);
      expect(await readPlanFile(file)).toEqual(plan);
      const { drop: _, ...older } = JSON.parse(readFileSync(file, "utf8")) as Record<string, unknown>;
      writeFileSync(file, JSON.stringify(older));
      expect(await readPlanFile(file)).toEqual({ ...plan, drop: [] });
    });

    test.each<[string, (plan: ChangePlan) => object, RegExp]>([
      ["an empty index", () => ({ create: [{}] }), /create\.0\.definition is missing or damaged/],
      [
        "an index without keys",
        ({ create: [first] }) => ({ create: [{ ...first, definition: { ...first?.definition, keys: [] } }] }),
        /create\.0\.definition\.keys is/,
      ],
      [
        "a text for a list",
        ({ create: [first] }) => ({ create: [{ ...first, queries: "x" }] }),
        /create\.0\.queries is/,
      ],
      ["an empty table", () => ({ tables: [{}] }), /tables\.0\.schema is/],
      ["an index on a table that it does not list", () => ({ tables: [] }), /does not list the tables of its indexes/],
      ["an empty target", () => ({ target: {} }), /target\.systemIdentifier is/],
      ["an empty drop", () => ({ drop: [{}] }), /drop\.0\.name is/],
    ])("is none with %s", async (_, damage, message) => {
      const plan = changePlan(advice);
      const file = join(directory, "damaged.json");
      rmSync(file, { force: true });
      await writePlanFile(file, { ...plan, ...damage(plan) });
      await expect(readPlanFile(file)).rejects.toMatchObject({
        code: "usage",
        message: expect.stringMatching(/damaged\.json is not a plan: /) as string,
      });
      await expect(readPlanFile(file)).rejects.toThrow(message);
    });
  });

  test.skipIf(major !== 18)("measures what writes pay where it is asked to", async () => {
    const [chosen] = adviceDocument(await advised(true)).create;
    expect(chosen?.upkeep?.entries).toBe(20);
    expect(chosen?.upkeep?.ms).not.toBe(adviceDocument(advice).create[0]?.upkeep?.ms);
  });
});

// Each runs the whole command several times; on a busy machine that takes a while.
describe("after a change", { timeout: 180_000 }, () => {
  let server: EmbeddedServer;
  let session: Session;

  beforeAll(async () => {
    server = await startEmbedded({ major: 18, settings: { autovacuum: "off", jit: "off" } });
    session = await openSession(resolveConnection(server.url(), {}), "build");
    await session.script(`
      create extension pg_stat_statements;
      create table orders (customer_id int not null, number int not null);
      insert into orders select g % 5000, g from generate_series(1, 100000) g;`);
    await session.query("vacuum analyze");
    await session.query("select pg_stat_statements_reset()");
    for (let i = 0; i < 20; i += 1) await session.query("select number from orders where customer_id = $1", [i]);
  });

  afterAll(async () => {
    await session.close();
    await server.stop();
  });

  test("what has run since decides, and where nothing has, that is said", async () => {
    const flags = ["--quiet", "--json", "--url", server.url()];
    const apply = () => indexpilot(["apply", ...flags, "--yes", "--baseline", "300ms", "--block", "100ms"]);
    const first = await apply();
    expect(first.code, first.err).toBe(0);
    const { builds } = JSON.parse(first.out) as { builds: readonly { outcome: string }[] };
    expect(builds.map(({ outcome }) => outcome)).toEqual(["built"]);

    const again = await apply();
    expect(again.code, again.err).toBe(0);
    expect(JSON.parse(again.out)).toMatchObject({
      advice: null,
      reason: expect.stringMatching(/^nothing has run since the last change of 2/),
    });

    // Advice alone then looks at all that was counted (our reset is one), and proposes nothing again.
    const asked = await indexpilot(["advise", ...flags]);
    expect(JSON.parse(asked.out)).toMatchObject({ workload: { statements: 2 }, create: [] });

    await session.query("select count(*) from orders where number between $1 and $2", [5, 9]);
    const since = JSON.parse((await apply()).out) as { advice: ReturnType<typeof adviceDocument> };
    expect(since.advice.queries.map(({ text }) => text)).toEqual([
      "select count(*) from orders where number between $1 and $2",
    ]);
  });
});
