import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Statement, WhatIfPlanner, WhatIfResult } from "../../src/domain/index.ts";
import { type EmbeddedServer, startEmbedded } from "../../src/embedded/index.ts";
import { decodePlan, usedIndexNames } from "../../src/plan/index.ts";
import { openSession, resolveConnection, type Session } from "../../src/postgres/index.ts";
import { calibrate, explainOnTarget } from "../../src/whatif/index.ts";
import { statement } from "./planner.ts";

const schema = `
  create table orders (id int primary key, customer int, total int);
  insert into orders select n, n % 1000, n from generate_series(1, 20000) as n;
  create table only_here (id int);
  create schema app; create table app.orders as select * from public.orders limit 10;`;

/** Another database of the same server, asked as it is: a what-if planner without any hypothetical index. */
const plannerOver = (session: Session): WhatIfPlanner => ({
  name: "shadow",
  canHide: false,
  register: () => Promise.resolve([]),
  plan: async (requests) => {
    const results: WhatIfResult[] = [];
    for (const { binding, scope } of requests) {
      try {
        await session.query(`set search_path to ${scope.searchPath.join(", ")}`);
        const [row] = await session.query<{ "QUERY PLAN": unknown }>(`explain (format json) ${binding.sql}`);
        const plan = decodePlan(row?.["QUERY PLAN"]);
        results.push({ kind: "planned", plan, totalCost: plan.root.totalCost, usedIndexes: usedIndexNames(plan) });
      } catch {
        results.push({ kind: "failed", reason: "not here" });
      }
    }
    return results;
  },
  close: () => Promise.resolve(),
});

let server: EmbeddedServer;
let target: Session;
let copy: Session;
beforeAll(async () => {
  server = await startEmbedded({ major: 18, settings: { autovacuum: "off" } });
  const admin = await openSession(resolveConnection(server.url(), {}), "build");
  await admin.query("create database target");
  await admin.query("create database copy");
  await admin.query("create role observer login in role pg_monitor, pg_read_all_data");
  await admin.close();
  for (const name of ["target", "copy"]) {
    const session = await openSession(resolveConnection(server.url(name), {}), "build");
    await session.script(`${schema} analyze;`);
    // In the copy, the same table twice as large, and one index less.
    if (name === "copy") {
      await session.script(
        "create table grown as select * from orders; insert into grown select * from grown; analyze grown; drop table only_here;",
      );
    } else {
      await session.script(
        "create table grown as select * from orders; analyze grown; create index by_customer on orders (customer) where total > 0;",
      );
    }
    await session.close();
  }
  target = await openSession(resolveConnection(server.url("target", "observer"), {}), "observe");
  copy = await openSession(resolveConnection(server.url("copy"), {}), "observe");
});
afterAll(async () => {
  await target.close();
  await copy.close();
  await server.stop();
});

const judged = async (...questions: [Statement, (string | null)[]][]) =>
  calibrate({
    target: explainOnTarget(target),
    role: "observer",
    planner: plannerOver(copy),
    statements: questions.map(([one, calibrationSql]) => ({ statement: one, calibrationSql })),
  });
const select = (sql: string): [Statement, string[]] => [statement(sql, { [sql]: 1 }), [sql]];

describe("calibration against the target's own EXPLAIN", () => {
  it("trusts a statement whose plan and cost are the same", async () => {
    const [one] = await judged(select("select * from orders where id = 5 -- a comment at the end"));
    expect(one).toMatchObject({ confidence: "trusted", reason: null });
    expect(one?.targetCost).toBe(one?.whatIfCost);
  });

  it("trusts little where the plan differs, and says how", async () => {
    const [one] = await judged(select("select * from orders where customer = 5 and total > 0"));
    expect(one?.confidence).toBe("low");
    expect(one?.reason).toMatch(/another plan: .*Bitmap.* on the target, Seq Scan:orders:orders here/);
  });

  it("trusts little where the same plan has another cost", async () => {
    const [one] = await judged(select("select * from grown"));
    expect(one).toMatchObject({ confidence: "low" });
    expect(one?.reason).toMatch(/^the same plan at another cost: cost \d+\.\d+ on the target, \d+\.\d+ here$/);
  });

  it("knows nothing of a statement that either side cannot plan, and goes on with the others", async () => {
    const answers = await judged(
      select("select * from only_here"),
      select("select * from nowhere"),
      select("select * from orders where id = 7"),
      select("select 1; select 2"),
    );
    expect(answers.map((one) => one.confidence)).toEqual(["unknown", "unknown", "trusted", "unknown"]);
    expect(answers[0]?.reason).toBe("in the what-if planner: not here");
    expect(answers[1]?.reason).toMatch(/^on the target: .*42P01.*nowhere/);
    expect(answers[3]?.reason).toBe("on the target: the text is not exactly one SQL statement");
  });

  it("asks about a write by its SELECT, and knows nothing of one that has none", async () => {
    const write = "update orders set total = 0 where id = 5";
    const update = statement(write, { [write]: 1 });
    const answers = await judged([update, ["select * from orders where id = 5"]], [update, [null]], [update, [write]]);
    expect(answers.map((one) => one.confidence)).toEqual(["trusted", "unknown", "unknown"]);
    expect(answers[1]?.reason).toBe("there is no equivalent SELECT to ask the target about");
    expect(answers[2]?.reason).toContain("42501");
  });

  it("resolves names by the statement's own search path", async () => {
    const sql = "select * from orders";
    const inApp = { ...statement("app", { [sql]: 1 }), scope: { role: "app", searchPath: ["app", "public"] } };
    const [there, here] = await judged([inApp, [sql]], select(sql));
    expect(there?.targetCost).toBeLessThan((here?.targetCost ?? 0) / 100);
  });

  it("is as sure as its least sure binding", async () => {
    const good = "select * from orders where id = 5";
    const bad = "select * from grown";
    const [one] = await judged([statement("two", { [good]: 0.5, [bad]: 0.5 }), [good, bad]]);
    expect(one?.confidence).toBe("low");
    const [partly] = await judged([statement("two", { [good]: 0.5, x: 0.5 }), [good, null]]);
    expect(partly?.confidence).toBe("unknown");
  });

  it("changes nothing and leaves no transaction open, even when a text is more than it should be", async () => {
    await judged(select("select 1; delete from orders"), select("select 1; create table mischief ()"));
    const [row] = await target.query<{ rows: string; tables: string; assigned: boolean }>(
      "select count(*) as rows, (select count(*) from pg_class where relname = 'mischief') as tables, pg_current_xact_id_if_assigned() is not null as assigned from orders",
    );
    expect(row).toEqual({ rows: "20000", tables: "0", assigned: false });
    expect(await target.query("select now() = statement_timestamp() as alone")).toEqual([{ alone: true }]);
  });
});
