import { chmodSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type {
  Catalog,
  HypotheticalIndex,
  IndexDefinition,
  WhatIfRequest,
  WhatIfResult,
} from "../../src/domain/index.ts";
import { startEmbedded } from "../../src/embedded/index.ts";
import { decodePlan, type Plan, planShape } from "../../src/plan/index.ts";
import {
  openSession,
  type OwnScans,
  readCatalog,
  renderCreateIndex,
  resolveConnection,
} from "../../src/postgres/index.ts";
import { readEndPoints, type ShadowPlanner, startShadow } from "../../src/shadow/index.ts";
import { openShop, queries, type Shop } from "./shop.ts";

const searchPath = ["public", "Sales Dept"];

const request = (
  sql: string,
  visible: readonly HypotheticalIndex[] = [],
  hidden: readonly number[] = [],
): WhatIfRequest => ({
  binding: { sql, share: 1, source: "literal" },
  scope: { role: "app", searchPath },
  visible: new Set(visible.map((one) => one.id)),
  hidden: new Set(hidden),
});

const planOf = (result: WhatIfResult | undefined): Plan => {
  if (result?.kind !== "planned") throw new Error(`no plan: ${result?.reason ?? "no result"}`);
  return result.plan;
};

const on = (
  schema: string,
  name: string,
  keys: readonly string[],
  include: readonly string[] = [],
): IndexDefinition => ({
  table: { schema, name },
  method: "btree",
  keys: keys.map((column) => ({ column, direction: "asc", nulls: "last" })),
  include,
});

const candidates: readonly IndexDefinition[] = [
  on("Sales Dept", "Orders", ["total"]),
  on("Sales Dept", "Orders", ["status", "placed"]),
  on("Sales Dept", "Orders", ["customer"], ["total"]),
  on("Sales Dept", "Orders", ["token"]),
  on("Sales Dept", 'we"ird; drop table x', ["select"]),
  on("Sales Dept", 'we"ird; drop table x', ["order_id", 'we"ird; col']),
  on("public", "customers", ["country", "born"]),
  on("public", "customers", ["score"]),
  on("public", "events", ["kind", "at"]),
  on("public", "log_old", ["id"]),
  on("public", "totals", ["orders"]),
];

describe.each([14, 15, 16, 17, 18])("the shadow of a PostgreSQL %i", (major) => {
  let shop: Shop;
  let catalog: Catalog;
  let shadow: ShadowPlanner;

  const onTarget = async (sql: string): Promise<Plan> => {
    const [row] = await shop.owner.query<{ "QUERY PLAN": unknown }>(`explain (format json) ${sql}`);
    return decodePlan(row?.["QUERY PLAN"]);
  };

  beforeAll(async () => {
    shop = await openShop(major);
    catalog = await readCatalog(shop.observer);
    shadow = await startShadow(catalog, { endPoints: await readEndPoints(shop.observer, catalog, new Map()) });
    await shop.owner.script(`set search_path = public, "Sales Dept"`);
  });

  afterAll(async () => {
    await shadow.close();
    await shop.stop();
  });

  it("plans every query as the target does, at the same cost", async () => {
    const results = await shadow.plan(queries.map((sql) => request(sql)));
    const differing: unknown[] = [];
    for (const [i, sql] of queries.entries()) {
      const target = await onTarget(sql);
      const ours = planOf(results[i]);
      expect(planShape(ours), sql).toBe(planShape(target));
      if (ours.root.totalCost !== target.root.totalCost) {
        differing.push([sql, target.root.totalCost, ours.root.totalCost]);
      }
    }
    expect(differing).toEqual([]);
  });

  it("names what it could not rebuild, and answers `failed` where a query needs it", async () => {
    expect(shadow.leftOut.map((one) => one.object)).toEqual(["function public.secret(integer)"]);
    const [folded, missing, fine] = await shadow.plan([
      request("select id from customers where score > secret(5)"),
      request("select nothing(id) from customers"),
      request("select secret(id) from customers where id = 1"),
    ]);
    expect(folded).toEqual({ kind: "failed", reason: "function public.secret(integer) cannot run in the shadow" });
    expect(missing).toEqual({ kind: "failed", reason: "function nothing(integer) does not exist" });
    expect(fine?.kind).toBe("planned");
  });

  it("does not repeat a query's values when it cannot be planned", async () => {
    const [result] = await shadow.plan([request("select * from customers where id = 'my secret'")]);
    expect(result).toEqual({ kind: "failed", reason: "the embedded server refused it (SQLSTATE 22P02)" });
  });

  it("costs candidates as if they were built, one at a time", async () => {
    const hypothetical = await shadow.register(candidates);
    expect(hypothetical.map((one) => one.definition)).toEqual(candidates);
    let used = 0;
    let exact = 0;
    for (const index of hypothetical) {
      await shop.owner.script(renderCreateIndex(index.definition, "really built", { concurrently: false }));
      const results = await shadow.plan(queries.map((sql) => request(sql, [index])));
      for (const [i, sql] of queries.entries()) {
        const result = results[i];
        if (result?.kind !== "planned" || result.usedIndexes.length === 0) continue;
        expect(result.usedIndexes).toEqual([index.id]);
        const target = await onTarget(sql);
        const known = new Set(catalog.tables.flatMap((table) => table.indexes.map((one) => one.name)));
        const rename = (name: string): string => (known.has(name) ? name : "candidate");
        const shape = planShape(result.plan, rename);
        expect(shape, `${sql} with ${index.id}`).toBe(planShape(target, rename));
        expect(Math.abs(result.totalCost / target.root.totalCost - 1), sql).toBeLessThan(0.05);
        used += 1;
        if (result.totalCost === target.root.totalCost) exact += 1;
      }
      await shop.owner.script(`drop index "really built"`);
    }
    expect(used).toBeGreaterThan(10);
    expect(exact / used).toBeGreaterThan(0.6);
  });

  it("sizes candidates as they would be", async () => {
    for (const { definition, estimatedBytes } of await shadow.register(candidates)) {
      await shop.owner.script(renderCreateIndex(definition, "really built", { concurrently: false }));
      const [real] = await shop.owner.query<{ bytes: string }>(
        `with recursive part (oid) as (
           select oid from pg_class where relname = 'really built'
           union all
           select h.inhrelid from part p join pg_inherits h on h.inhparent = p.oid
         ) select sum(pg_relation_size(oid)) as bytes from part`,
      );
      const ratio = estimatedBytes / Number(real?.bytes);
      expect(ratio, JSON.stringify(definition)).toBeGreaterThan(0.85);
      expect(ratio, JSON.stringify(definition)).toBeLessThan(1.2);
      await shop.owner.script(`drop index "really built"`);
    }
  });

  it("shows and hides per request, and leaves nothing behind", async () => {
    const sql = "select * from customers where id = 77";
    const byTotal = 'select * from "Orders" where total > 700';
    const primary = catalog.tables.flatMap((table) => table.indexes).find((index) => index.name === "customers_pkey");
    const [total] = await shadow.register([on("Sales Dept", "Orders", ["total"])]);
    if (primary === undefined || total === undefined) throw new Error("fixture");
    const before = await shadow.plan([request(sql), request(byTotal)]);
    const results = await shadow.plan([
      request(sql),
      request(sql, [], [primary.oid]),
      request(byTotal, [total]),
      request(sql, [total]),
      request(byTotal),
    ]);
    expect(results.map((result) => planShape(planOf(result)).includes("customers_pkey"))).toEqual([
      true,
      false,
      false,
      true,
      false,
    ]);
    expect(results.map((result) => result.kind === "planned" && result.usedIndexes.includes(total.id))).toEqual([
      false,
      false,
      true,
      false,
      false,
    ]);
    expect(await shadow.plan([request(sql), request(byTotal)])).toEqual(before);
  });

  it("hides a partitioned table's index with all its parts", async () => {
    const sql = "select * from events where customer = 12345";
    const parent = catalog.tables.flatMap((table) => table.indexes).find((index) => index.name === "events_customer");
    const [visible, hidden] = await shadow.plan([request(sql), request(sql, [], [parent?.oid ?? 0])]);
    expect(planShape(planOf(visible))).toContain("_customer_idx");
    expect(planShape(planOf(hidden))).not.toContain("_customer_idx");
  });

  it("leaves out candidates that PostgreSQL cannot build", async () => {
    const made = await shadow.register([
      on("public", "nowhere", ["id"]),
      on("public", "located", ["place"]),
      on("public", "located", ["id"]),
    ]);
    expect(made.map((one) => one.definition.keys[0]?.column)).toEqual(["id"]);
  });
});

describe("a shadow of stale statistics", () => {
  const fresh = "select * from readings where id > 20100 and id < 21000";
  const latest = "select * from readings where taken > '2024-01-15' order by taken limit 3";

  it("knows the ends of indexed columns from the target, with existing indexes and with candidates", async () => {
    const target = await startEmbedded({ major: 16, settings: { autovacuum: "off" } });
    const session = await openSession(resolveConnection(target.url(), {}), "build");
    await session.script(`
      create table readings (id integer primary key, taken timestamptz, note text default 'some words to make it wider');
      insert into readings select i, timestamptz '2024-01-01' + i * interval '1 minute' from generate_series(1, 20000) i;
      create index on readings (taken);
      analyze;
      insert into readings select i, timestamptz '2024-01-01' + i * interval '1 minute' from generate_series(20001, 26000) i;
      select pg_stat_force_next_flush()`);
    const catalog = await readCatalog(session);
    const scans = async (): Promise<Map<number, number>> => {
      const rows = await session.query<{ oid: string; scans: string }>(
        "select indexrelid::bigint as oid, idx_scan as scans from pg_stat_user_indexes where idx_scan > 0",
      );
      return new Map(rows.map((row) => [Number(row.oid), Number(row.scans)]));
    };
    const before = await scans();
    const ledger: OwnScans = new Map();
    const endPoints = await readEndPoints(session, catalog, ledger);
    await session.query("select pg_stat_force_next_flush()");
    const caused = [...(await scans())].map(([oid, count]): [number, number] => [oid, count - (before.get(oid) ?? 0)]);
    // What we scanned ourselves is known to the last scan, so that idx_scan can still prove whether anybody else does.
    expect(ledger.size).toBe(2);
    expect(ledger).toEqual(new Map(caused));
    expect(endPoints.map(({ column, lowest, highest }) => [column, lowest, highest])).toEqual([
      ["id", "1", "26000"],
      ["taken", "2024-01-01 00:01:00+00", "2024-01-19 01:20:00+00"],
    ]);
    const [blind, knowing] = await Promise.all([startShadow(catalog), startShadow(catalog, { endPoints })]);
    try {
      const [byKey, byTime] = await Promise.all(
        [fresh, latest].map(async (sql) => {
          const [row] = await session.query<{ "QUERY PLAN": unknown }>(`explain (format json) ${sql}`);
          return decodePlan(row?.["QUERY PLAN"]).root.totalCost;
        }),
      );
      const costs = async (shadow: ShadowPlanner): Promise<number[]> =>
        (await shadow.plan([request(fresh), request(latest)])).map((result) => planOf(result).root.totalCost);
      expect(await costs(knowing)).toEqual([byKey, byTime]);
      expect(await costs(blind)).not.toEqual([byKey, byTime]);
      const definition = on("public", "readings", ["id"], ["taken"]);
      const [candidate] = await knowing.register([definition]);
      if (candidate === undefined) throw new Error("fixture");
      await session.script(renderCreateIndex(definition, "built", { concurrently: false }));
      const [real] = await session.query<{ "QUERY PLAN": unknown }>(`explain (format json) ${fresh}`);
      const [hypothetical] = await knowing.plan([request(fresh, [candidate])]);
      const ratio = planOf(hypothetical).root.totalCost / decodePlan(real?.["QUERY PLAN"]).root.totalCost;
      expect(Math.abs(ratio - 1)).toBeLessThan(0.05);
    } finally {
      await Promise.all([blind.close(), knowing.close()]);
      await session.close();
      await target.stop();
    }
  });
});

describe("a shadow that is closed", () => {
  it("has stopped its server and removed its directory", async () => {
    const target = await startEmbedded({ major: 18 });
    const temporary = mkdtempSync(join(tmpdir(), "indexpilot-test-"));
    chmodSync(temporary, 0o755);
    const { TMPDIR } = process.env;
    try {
      const session = await openSession(resolveConnection(target.url(), {}), "observe");
      const catalog = await readCatalog(session);
      await session.close();
      process.env["TMPDIR"] = temporary;
      const shadow = await startShadow(catalog);
      expect(readdirSync(temporary)).toHaveLength(1);
      await shadow.close();
      expect(readdirSync(temporary)).toEqual([]);
    } finally {
      if (TMPDIR === undefined) delete process.env["TMPDIR"];
      else process.env["TMPDIR"] = TMPDIR;
      rmSync(temporary, { recursive: true });
      await target.stop();
    }
  });
});
