import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Catalog, WhatIfResult } from "../../src/domain/index.ts";
import { type EmbeddedServer, startEmbedded } from "../../src/embedded/index.ts";
import { decodePlan, type Plan, planShape } from "../../src/plan/index.ts";
import { openSession, readCatalog, resolveConnection, type Session } from "../../src/postgres/index.ts";
import { type ShadowPlanner, startShadow } from "../../src/shadow/index.ts";
import { forumSchema } from "./fixtures/forum.ts";
import { comparable } from "./round-trip.ts";

const fixture = (name: string): string => readFileSync(new URL(`fixtures/${name}`, import.meta.url), "utf8");

interface Pair {
  readonly server: EmbeddedServer;
  readonly owner: Session;
  readonly catalog: Catalog;
  readonly shadow: ShadowPlanner;
  readonly close: () => Promise<void>;
}

/** A target with this schema, analysed, and its shadow as an observing role sees it. */
const openPair = async (major: number, schema: string): Promise<Pair> => {
  const server = await startEmbedded({ major, settings: { autovacuum: "off", jit: "off", random_page_cost: "1.3" } });
  const owner = await openSession(resolveConnection(server.url(), {}), "build");
  await owner.script(schema);
  await owner.query("vacuum");
  await owner.script("analyze; create role observer login; grant pg_monitor, pg_read_all_data to observer");
  const observer = await openSession(resolveConnection(server.url("postgres", "observer"), {}), "observe");
  const catalog = await readCatalog(observer);
  await observer.close();
  const shadow = await startShadow(catalog);
  return {
    server,
    owner,
    catalog,
    shadow,
    close: async () => {
      await Promise.all([shadow.close(), owner.close()]);
      await server.stop();
    },
  };
};

const readAgain = async (shadow: ShadowPlanner): Promise<Catalog> => {
  const session = await openSession(shadow.connection(), "observe");
  try {
    return await readCatalog(session);
  } finally {
    await session.close();
  }
};

const planOf = (result: WhatIfResult | undefined): Plan => {
  if (result?.kind !== "planned") throw new Error(`no plan: ${result?.reason ?? "no result"}`);
  return result.plan;
};

/** A role of the target's, or nobody whom it knows. */
type Asked = readonly [role: string, sql: string];

const path = ["rental", "public"];

const planAll = async ({ shadow }: Pair, asked: readonly Asked[]): Promise<readonly WhatIfResult[]> =>
  shadow.plan(
    asked.map(([role, sql]) => ({
      binding: { sql, share: 1, source: "literal" },
      scope: { role, searchPath: path },
      visible: new Set(),
      hidden: new Set(),
    })),
  );

const rentals: readonly Asked[] = [
  ["nobody", "select * from film where released = 1990 and price = 40"],
  ["nobody", "select count(*) from film where price % 7 = 3"],
  ["nobody", "select released, lower(title), count(*) from film group by 1, 2"],
  ["nobody", "select * from film where words @@ to_tsquery('english', 'cats & 7')"],
  ["nobody", "select * from film where features @> array['g5']"],
  ["nobody", "select * from film where prices @> 12.5"],
  ["nobody", "select * from film where prices && price_range(3, 4)"],
  ["nobody", "select * from film where many_prices && price_range(3, 4)"],
  ["nobody", "select * from film where title = 'film 17' collate insensitive"],
  ["nobody", "select * from film where upper(title) = 'FILM 20' and price > 3"],
  ["nobody", "select * from film where half(price) < 3"],
  ["nobody", "select biggest(price) from film group by rating"],
  ["nobody", "select * from film where studio = 'STUDIO 3'"],
  ["nobody", "select * from film a join film b on a.price ~~~ b.price where a.id = 3"],
  ["nobody", "select * from film where nickname = 'N3'::shout"],
  ["nobody", "select * from film where released = 1990::year"],
  ["nobody", "select title_of(f) from films_of('R') f"],
  ["nobody", "select * from cheap where id = 5"],
  ["nobody", "select * from cheaper where who = 77"],
  ["nobody", "select * from booking where at > '2025-03-01' and kind = 'd' and who = 55"],
  ["nobody", "select * from booking where during @> timestamptz '2024-02-01 12:00+00'"],
  ["nobody", "select kind, count(*) from booking group by kind"],
  ["nobody", 'select * from "Help Desk"."Call" where id = 77'],
  ["nobody", "select * from account where tenant = 7"],
  ["clerk", "select * from account where id = 7"],
  ["clerk", "select * from account where name like 'name 1%' order by id"],
  ["clerk", "update account set name = 'x' where id = 8"],
  ["manager", "select count(*) from account"],
  ["auditor", "select count(*) from account where tenant = 3"],
  ["shop_owner", "select * from account where tenant = 3"],
  ["manager", "select a.* from account a join film f on f.id = a.id order by a.name, f.title"],
  ["nobody", "insert into film (title, price) values ('x', 3)"],
];

describe.each([14, 18])("the shadow of a small PostgreSQL %i database with something of everything", (major) => {
  let pair: Pair;

  beforeAll(async () => {
    pair = await openPair(major, fixture("rentals.sql"));
  });

  afterAll(() => pair.close());

  it("leaves nothing out, and reads as the target does", async () => {
    expect(pair.shadow.leftOut).toEqual([]);
    expect(comparable(await readAgain(pair.shadow))).toEqual(comparable(pair.catalog));
  });

  it("plans as the statement's role, with its policies and settings", async () => {
    const results = await planAll(pair, rentals);
    await pair.owner.script(
      "grant usage on schema rental to public; grant all on all tables in schema rental to public",
    );
    const differing: unknown[] = [];
    for (const [i, [role, sql]] of rentals.entries()) {
      const results_ = await pair.owner.script<{ "QUERY PLAN": unknown }>(`
        begin; set local search_path = rental, public; ${role === "nobody" ? "" : `set local role ${role};`}
        ${role === "manager" ? "set local work_mem = '32MB';" : ""} explain (format json) ${sql}; rollback`);
      const target = decodePlan(results_.find((rows) => rows[0]?.["QUERY PLAN"] !== undefined)?.[0]?.["QUERY PLAN"]);
      const ours = planOf(results[i]);
      const ratio = ours.root.totalCost / target.root.totalCost;
      // GIN tells the planner of its entry and data pages by its metapage, which no catalogue shows.
      if (planShape(ours) !== planShape(target) || Math.abs(ratio - 1) > (sql.includes("film") ? 0.002 : 0)) {
        differing.push([role, sql, planShape(target), planShape(ours), target.root.totalCost, ours.root.totalCost]);
      }
    }
    expect(differing).toEqual([]);
  });
});

describe.each([14, 18])("the shadow of a grown PostgreSQL %i application", (major) => {
  it("reads as its target does, with hundreds of relations", async () => {
    const pair = await openPair(major, forumSchema(130, 40));
    try {
      expect(pair.catalog.tables.flatMap((table) => table.indexes).length).toBeGreaterThan(500);
      expect(pair.shadow.leftOut).toEqual([]);
      expect(comparable(await readAgain(pair.shadow))).toEqual(comparable(pair.catalog));
    } finally {
      await pair.close();
    }
  });
});
