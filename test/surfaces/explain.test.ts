import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type EmbeddedServer, startEmbedded } from "../../src/embedded/index.ts";
import { decodePlan, type Plan } from "../../src/plan/index.ts";
import { openSession, resolveConnection } from "../../src/postgres/index.ts";
import { plansBeside } from "../../src/surfaces/cli/plan-view.ts";
import { openTerminal } from "../../src/surfaces/cli/terminal.ts";
import { indexpilot } from "./run.ts";

const scan = (relation: string, cost: number): object => ({
  "Node Type": "Seq Scan",
  "Relation Name": relation,
  Alias: relation,
  "Total Cost": cost,
  "Plan Rows": 10,
});
const plan = (type: string, cost: number, ...children: object[]): Plan =>
  decodePlan([{ Plan: { "Node Type": type, "Total Cost": cost, "Plan Rows": 10, Plans: children } }]);

describe("two plans beside one another", () => {
  const marks = (left: Plan, right: Plan): string[] =>
    plansBeside(["target", "shadow"], [left, right], openTerminal({ NO_COLOR: "1" }, true))
      .split("\n")
      .slice(1)
      .map((line) => line.slice(2, 3));

  test("are marked nowhere where they agree to a hundredth of the cost", () => {
    expect(
      marks(
        plan("Hash Join", 100, scan("a", 10), scan("b", 20)),
        plan("Hash Join", 100.9, scan("a", 10), scan("b", 20)),
      ),
    ).toEqual([" ", " ", " "]);
  });

  test("are marked ~ where a step costs something else, and ≠ where one has it alone", () => {
    expect(marks(plan("Sort", 100, scan("a", 10)), plan("Sort", 102, scan("a", 10)))).toEqual(["~", " "]);
    expect(marks(plan("Hash Join", 100, scan("a", 10), scan("b", 20)), plan("Hash Join", 100, scan("b", 20)))).toEqual([
      " ",
      "≠",
      " ",
    ]);
    expect(marks(plan("Hash Join", 9), plan("Merge Join", 9))).toEqual(["≠", "≠"]);
  });
});

describe("explain", () => {
  let server: EmbeddedServer;
  let url: readonly string[];
  let directory: string;
  const sql = "select * from orders where customer = 7";

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), "ip-explain-"));
    server = await startEmbedded({ major: 18, settings: { autovacuum: "off" } });
    const admin = await openSession(resolveConnection(server.url(), {}), "store");
    await admin.script(`
      create extension pg_stat_statements;
      create table orders (id int primary key, customer int, total int);
      insert into orders select n, n % 900, n from generate_series(1, 30000) n;
      create view paid as select * from orders where total > 0;
      create function spent(int) returns setof orders language sql stable begin atomic select * from orders where customer = $1; end;
      analyze orders; create role watcher login in role pg_monitor, pg_read_all_data; select pg_stat_statements_reset();`);
    await admin.query("select * from orders where customer = $1", [7]);
    await admin.close();
    url = ["--url", server.url("postgres", "watcher")];
  });
  afterAll(async () => {
    await server.stop();
    rmSync(directory, { recursive: true });
  });

  test("--compare shows the target's plan and the shadow's, what to think of them, and what the advice would change", async () => {
    const ran = await indexpilot(["explain", "--compare", ...url, sql]);
    expect(ran.code).toBe(0);
    expect(ran.out).toMatch(/confidence trusted/);
    expect(ran.out).toMatch(/target +shadow/);
    expect(ran.out).toMatch(/Seq Scan on orders {2}cost 538, rows 34 +Seq Scan on orders {2}cost 538/);
    expect(ran.out).toMatch(/would use orders \(customer\)/);
    expect(ran.out).toMatch(/using \[orders \(customer\)\]/);
  });

  test("without it shows the one plan; values of the statement appear nowhere", async () => {
    const ran = await indexpilot(["explain", ...url, sql.replace("7", "777")]);
    expect(ran.out).toMatch(/the target's plan\n +Seq Scan on orders/);
    expect(ran.out).not.toContain("777");
  });

  test("--json says the same as data, for a statement chosen by its fingerprint, from a snapshot as well", async () => {
    const advice = JSON.parse((await indexpilot(["advise", ...url, "--json"])).out) as {
      queries: { fingerprint: string }[];
    };
    const fingerprint = advice.queries[0]?.fingerprint.slice(0, 6) ?? "";
    const live = await indexpilot(["explain", ...url, "--fingerprint", fingerprint, "--json"]);
    expect(JSON.parse(live.out)).toMatchObject({
      planner: "shadow",
      statements: [
        {
          confidence: "trusted",
          plans: [
            {
              target: { type: "Seq Scan", relation: "orders" },
              whatIf: { type: "Seq Scan" },
              uses: ["create index on public.orders using btree (customer)"],
            },
            {},
            {},
          ],
        },
      ],
    });
    const file = join(directory, "orders.json");
    await indexpilot(["snapshot", ...url, "--out", file]);
    const frozen = await indexpilot(["explain", "--snapshot", file, "--fingerprint", fingerprint, "--json"]);
    expect(JSON.parse(frozen.out)).toEqual(JSON.parse(live.out));
  });

  const views = "select * from paid where customer = 7";
  const indirect = /it uses no table directly: views and functions are not looked into/;

  test("a statement over views or functions only is left out with its reason, beside others as well", async () => {
    const files = join(directory, "queries.sql");
    writeFileSync(files, `${sql}; ${views}; select * from spent(7); select 1;`);
    const explained = await indexpilot(["explain", ...url, "--queries", files]);
    expect(explained.code, explained.err).toBe(0);
    expect(explained.out).toMatch(/queries\.sql #2\n {2}no plan: it uses no table directly/);
    const advised = await indexpilot(["advise", ...url, "--queries", files, "--json"]);
    const { workload } = JSON.parse(advised.out) as { workload: { statements: number; declined: object[] } };
    // What uses nothing at all is counted, and takes nothing.
    expect(workload.statements).toBe(2);
    expect(workload.declined).toMatchObject(
      ["queries.sql #2", "queries.sql #3"].map((label) => ({
        label,
        reason: expect.stringMatching(indirect) as string,
      })),
    );
  });

  test("a statement over a view is left out of a snapshot with its reason, too", async () => {
    const file = join(directory, "views.json");
    const queries = join(directory, "views.sql");
    writeFileSync(queries, `${sql}; ${views}`);
    await indexpilot(["snapshot", ...url, "--queries", queries, "--out", file]);
    const advised = await indexpilot(["advise", "--snapshot", file, "--json"]);
    const { declined } = (JSON.parse(advised.out) as { workload: { declined: { fingerprint: string }[] } }).workload;
    expect(declined).toHaveLength(1);
    const asked = await indexpilot(["explain", "--snapshot", file, "--fingerprint", declined[0]?.fingerprint ?? ""]);
    expect(asked).toMatchObject({ code: 2, out: "", err: expect.stringMatching(indirect) });
  });

  test.each([
    ["a statement over a view", [views], indirect],
    ["a call of a function", ["select spent(7)"], indirect],
    ["a statement that uses nothing", ["select 1"], /nothing of it uses a table/],
    ["a statement that is none", ["selec 1"], /not valid SQL/],
    ["a fingerprint that nothing has", ["--fingerprint", "0000"], /begins with 0000/],
    ["two kinds of statement", [sql, "--fingerprint", "00"], /several kinds/],
  ])("says what is wrong with %s", async (_, args, message) => {
    expect(await indexpilot(["explain", ...url, ...args])).toMatchObject({
      code: 2,
      out: "",
      err: expect.stringMatching(message),
    });
  });
});
