import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  ascending,
  type Catalog,
  definitionId,
  type IndexDefinition,
  type WhatIfPlanner,
} from "../../src/domain/index.ts";
import { openSession, readCatalog, resolveConnection, type Session } from "../../src/postgres/index.ts";
import { walkPlan } from "../../src/plan/index.ts";
import { openHypopg } from "../../src/whatif/index.ts";
import { hasHypopg, startDebianServer } from "./debian-server.ts";

const index = (keys: string[], include: string[] = [], table = `odd "name"`): IndexDefinition => ({
  table: { schema: "public", name: table },
  method: "btree",
  keys: keys.map(ascending),
  include,
});
const byCustomer = index(["customer"]);
const byTotal = index(["total"]);
const covering = index(["customer"], ["total"]);

describe.skipIf(!hasHypopg)("the what-if planner over HypoPG", () => {
  let server: Awaited<ReturnType<typeof startDebianServer>>;
  let session: Session;
  let catalog: Catalog;
  let planner: WhatIfPlanner;
  beforeAll(async () => {
    server = await startDebianServer();
    session = await openSession(resolveConnection(server.url("postgres"), {}), "observe");
    await session.script(`
      create schema extensions; create extension hypopg schema extensions;
      create table "odd ""name""" (id int primary key, customer int not null, total int not null);
      insert into "odd ""name""" select n, n % 10000, n from generate_series(1, 100000) as n;`);
    await session.query(`vacuum analyze "odd ""name"""`);
    catalog = await readCatalog(session);
    planner = await openHypopg(session, catalog);
    await planner.register([byCustomer, byTotal, covering]);
  });
  afterAll(async () => {
    await session?.close();
    server?.stop();
  });

  const plan = async (sql: string, ...visible: IndexDefinition[]) => {
    const [result] = await planner.plan([
      {
        binding: { sql, share: 1, source: "literal" },
        scope: { role: "postgres", searchPath: ["public"] },
        visible: new Set(visible.map(definitionId)),
        hidden: new Set(),
      },
    ]);
    return result;
  };
  const search = `select * from "odd ""name""" where customer = 5`;

  it("says what is missing, and how to get it, where the extension is not installed", async () => {
    await session.query("create database bare");
    const bare = await openSession(resolveConnection(server.url("bare"), {}), "observe");
    await expect(openHypopg(bare, await readCatalog(bare))).rejects.toMatchObject({
      code: "extension_missing",
      remedy: expect.stringContaining("create extension hypopg") as string,
    });
    await bare.close();
  });

  it("registers definitions with their sizes, and leaves out what cannot be", async () => {
    const indexes = await planner.register([byCustomer, covering, index(["gone"]), index(["id"], [], "nowhere")]);
    expect(indexes.map((one) => one.id)).toEqual([byCustomer, covering].map(definitionId));
    expect(indexes[0]?.estimatedBytes).toBeGreaterThan(1_000_000);
    expect(indexes[1]?.estimatedBytes).toBeGreaterThanOrEqual(indexes[0]?.estimatedBytes ?? 0);
    expect(new Set(indexes.map((one) => one.planName)).size).toBe(2);
  });

  it("makes partial indexes, BRIN, hash and expressions, and leaves out methods that HypoPG does not know", async () => {
    const partial: IndexDefinition = { ...byTotal, where: "(customer = 5)" };
    const brin: IndexDefinition = { ...byTotal, method: "brin" };
    const hash: IndexDefinition = { ...byCustomer, method: "hash" };
    const expression: IndexDefinition = {
      ...byTotal,
      keys: [{ ...ascending("total"), expression: "(total % 1000)" }],
    };
    const unknown = (["gin", "gist", "spgist"] as const).map((method) => ({ ...byTotal, method }));
    const made = await planner.register([partial, ...unknown, brin, hash, expression]);
    expect(made.map((one) => one.definition)).toEqual([partial, brin, hash, expression]);
    expect(made.map((one) => one.uncertain !== undefined)).toEqual([false, false, false, true]);
    expect(await plan(`select * from "odd ""name""" where customer = 5 and total < 9000`, partial)).toMatchObject({
      usedIndexes: [definitionId(partial)],
    });
    expect(await plan(`select * from "odd ""name""" where total % 1000 = 7`, expression)).toMatchObject({
      usedIndexes: [definitionId(expression)],
    });
  });

  it("plans with exactly the visible indexes", async () => {
    const without = await plan(search);
    const withIt = await plan(search, byCustomer, byTotal);
    if (without?.kind !== "planned" || withIt?.kind !== "planned") throw new Error("not planned");
    expect(without.usedIndexes).toEqual([]);
    expect(withIt.usedIndexes).toEqual([definitionId(byCustomer)]);
    expect(withIt.totalCost).toBeLessThan(without.totalCost / 10);
    expect(await plan(search, byTotal)).toEqual(without);
  });

  it("names an index in the plan as it did at registration, and an existing one as it is", async () => {
    const [registered] = await planner.register([byCustomer]);
    const hypothetical = await plan(search, byCustomer);
    const real = await plan(`select * from "odd ""name""" where id = 5`, byCustomer);
    if (hypothetical?.kind !== "planned" || real?.kind !== "planned") throw new Error("not planned");
    expect([...walkPlan(hypothetical.plan)].map((node) => node.index)).toContain(registered?.planName);
    expect(real.usedIndexes).toEqual([`odd "name"_pkey`]);
  });

  it("knows index-only scans of covering indexes", async () => {
    const result = await plan(`select total from "odd ""name""" where customer = 5`, byCustomer, covering);
    if (result?.kind !== "planned") throw new Error("not planned");
    expect(result.plan.root.type).toBe("Index Only Scan");
  });

  it("answers a long batch in order, telling which statements cannot be planned", async () => {
    const requests = Array.from({ length: 150 }, (_, position) => ({
      binding: { sql: position % 50 === 7 ? "select * from nowhere" : search, share: 1, source: "literal" as const },
      scope: { role: "postgres", searchPath: ["public"] },
      visible: new Set(position % 2 === 0 ? [definitionId(byCustomer)] : []),
      hidden: new Set<number>(),
    }));
    const results = await planner.plan(requests);
    expect(results.map((one) => (one.kind === "planned" ? one.usedIndexes.length : one.reason))).toEqual(
      requests.map(
        (_, position) =>
          (position % 50 === 7 ? expect.stringContaining("42P01") : position % 2 === 0 ? 1 : 0) as unknown,
      ),
    );
  });

  it("plans writes, and runs nothing", async () => {
    const result = await plan(`update "odd ""name""" set total = 0 where customer = 5`, byCustomer);
    expect(result).toMatchObject({ kind: "planned", usedIndexes: [definitionId(byCustomer)] });
    await session.query("create sequence counter");
    for (const more of [
      `delete from "odd ""name"""`,
      `commit; delete from "odd ""name"""`,
      "select nextval('counter')",
    ]) {
      expect(await plan(`select 1; ${more}`)).toMatchObject({ kind: "failed" });
    }
    expect(await session.query("select is_called from counter")).toEqual([{ is_called: false }]);
    expect(await session.query(`select count(*)::int as rows from "odd ""name"""`)).toEqual([{ rows: 100_000 }]);
  });

  it("leaves nothing behind", async () => {
    const own = await openSession(resolveConnection(server.url("postgres"), {}), "observe");
    const other = await openHypopg(own, catalog);
    await other.register([byCustomer]);
    await other.close();
    expect(await own.query("select count(*)::int as left from extensions.hypopg()")).toEqual([{ left: 0 }]);
    await own.close();
  });
});
