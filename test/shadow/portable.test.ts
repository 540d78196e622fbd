import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Catalog, IndexDefinition, WhatIfRequest, WhatIfResult } from "../../src/domain/index.ts";
import { failure } from "../../src/errors.ts";
import { planShape } from "../../src/plan/index.ts";
import { readCatalog } from "../../src/postgres/index.ts";
import { readEndPoints, type ShadowPlanner, startShadow } from "../../src/shadow/index.ts";
import { openShop, queries, type Shop } from "./shop.ts";

const request = (sql: string, visible: readonly string[] = []): WhatIfRequest => ({
  binding: { sql, share: 1, source: "literal" },
  scope: { role: "app", searchPath: ["public", "Sales Dept"] },
  visible: new Set(visible),
  hidden: new Set(),
});

const on = (schema: string, name: string, keys: readonly string[]): IndexDefinition => ({
  table: { schema, name },
  method: "btree",
  keys: keys.map((column) => ({ column, direction: "asc", nulls: "last" })),
  include: [],
});

const candidates = [
  on("Sales Dept", "Orders", ["total"]),
  on("Sales Dept", "Orders", ["status", "placed"]),
  on("public", "customers", ["country", "born"]),
  on("public", "events", ["kind", "at"]),
];

/** A machine on which PostgreSQL's programs do not run. */
const startNowhere = (): Promise<never> => Promise.reject(failure("embedded_start", { cause: "spawn ENOENT" }));

const answer = (result: WhatIfResult | undefined): unknown =>
  result?.kind === "planned"
    ? [
        planShape(result.plan).replaceAll(/_part_\d+/g, ""),
        Math.round(result.totalCost * 100),
        result.usedIndexes.length,
      ]
    : result;

describe.each([18, 15])("the shadow of a PostgreSQL %i on a machine that runs no server", (major) => {
  let shop: Shop;
  let catalog: Catalog;
  let usual: ShadowPlanner;
  let portable: ShadowPlanner;

  beforeAll(async () => {
    shop = await openShop(major);
    catalog = await readCatalog(shop.observer);
    const endPoints = await readEndPoints(shop.observer, catalog, new Map());
    usual = await startShadow(catalog, { endPoints });
    portable = await startShadow(catalog, { endPoints, startServer: startNowhere });
  });

  afterAll(async () => {
    await Promise.all([usual.close(), portable.close()]);
    await shop.stop();
  });

  it("says so, and doubts all it says where it is of another major", () => {
    expect(portable.leftOut[0]?.object).toBe("the server");
    expect(portable.leftOut[0]?.reason).toContain("ENOENT");
    expect(portable.doubt).toBe(major === 18 ? null : "planned by PostgreSQL 18 in place of 15");
    const [, collation, ...others] = portable.leftOut;
    expect(collation).toEqual({ object: "collation C.UTF-8", reason: expect.stringContaining("does not have it") });
    expect(others).toEqual(usual.leftOut);
  });

  it("plans nearly all as the embedded server does, with and without candidates", async () => {
    const answers = await Promise.all(
      [usual, portable].map(async (planner) => {
        const before = await planner.plan(queries.map((sql) => request(sql)));
        // After planning: its one session has seen the tables at their full length.
        const made = await planner.register(candidates);
        const sizes = made.map((one) => one.estimatedBytes);
        const visible = made.map((one) => one.id);
        const after = await planner.plan(queries.map((sql) => request(sql, visible)));
        return { sizes, plans: [...before, ...after].map(answer) };
      }),
    );
    const [expected, given] = answers;
    expect(given?.sizes).toEqual(expected?.sizes);
    const differing = (expected?.plans ?? []).flatMap((plan, i) =>
      JSON.stringify(plan) === JSON.stringify(given?.plans[i])
        ? []
        : [[queries[i % queries.length], plan, given?.plans[i]]],
    );
    // Of another major: what its planner has learned since.
    expect(differing.length / (2 * queries.length)).toBeLessThan(major === 18 ? 0.001 : 0.1);
  });
});
