import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { defaults } from "../../src/config/index.ts";
import { type EmbeddedServer, startEmbedded } from "../../src/embedded/index.ts";

import { adviceDocument, liveTarget, withAdvice, workloadOfTraffic } from "../../src/pilot/index.ts";
import { openSession, resolveConnection, type Session } from "../../src/postgres/index.ts";
import { systemClock } from "../../src/runtime/index.ts";
import type { ShadowPlanner } from "../../src/shadow/index.ts";

/** Different in their columns, so that each is a statement of its own. */
const shapes = Array.from({ length: 210 }, (_, n) => {
  const columns = Array.from({ length: 8 }, (_each, i) => i).filter((i) => ((n + 1) >> i) % 2 === 1);
  return `select ${columns.map((i) => `c${String(i)}`).join(", ")} from app.hot, pg_sleep(0.002) where c1 = 7`;
});

const heavy = [
  "select count(*) from app.hot, pg_sleep(1.5) where c2 = 3",
  "select recent.id from app.recent, app.hot, pg_sleep(0.02) where recent.id = 4 and c4 = 1",
  "select app.greatest_of_inside() from app.hot, pg_sleep(0.02) where c3 = 1",
  "select * from app.parts, pg_sleep(0.02) where id = 4",
];

const light = ["select * from app.cold where id = 3", "update app.colder set note = 'x' where id = 3"];

describe("a workload of which the last per cent is not planned", () => {
  let server: EmbeddedServer;
  let session: Session;

  beforeAll(async () => {
    server = await startEmbedded({ major: 18, settings: { autovacuum: "off" } });
    const admin = await openSession(resolveConnection(server.url(), {}), "build");
    await admin.script(`
      create extension pg_stat_statements; create role app login; create schema app;
      create table app.parent_only (id int primary key);
      create table app.tenants (id int primary key, name text);
      create table app.hot (${Array.from({ length: 8 }, (_, i) => `c${String(i)} int`).join(", ")}, tenant int, parent int references app.parent_only);
      create policy of_tenant on app.hot using (tenant in (select t.id from app.tenants t)); alter table app.hot enable row level security;
      insert into app.tenants values (1, 'a');
      insert into app.hot select ${Array.from({ length: 8 }, (_, i) => `n % ${String(100 + i)}`).join(", ")}, 1, null from generate_series(1, 20000) n;
      create table app.behind (id int primary key, note text); insert into app.behind values (4, 'x'); create view app.recent as select id from app.behind where note is not null;
      create table app.inside (id int);
      create function app.greatest_of_inside() returns int language sql stable as 'select max(id) from app.inside';
      create table app.parts (id int) partition by range (id);
      create table app.parts_low partition of app.parts for values from (0) to (10);
      create table app.parts_high partition of app.parts for values from (10) to (20); insert into app.parts values (4);
      create table app.cold (id int, parent int references app.parent_only); create table app.colder (id int, note text); create table app.never (id int);
      create function app.of_cold(row_ app.cold) returns int language sql immutable as 'select (row_).id';
      grant usage on schema app to app; grant all on all tables in schema app to app; analyze; select pg_stat_statements_reset()`);
    await admin.close();
    const app = await openSession(resolveConnection(server.url("postgres", "app"), {}), "build");
    for (const sql of [...heavy, ...shapes, ...light]) await app.script(sql);
    await app.close();
    session = await openSession(resolveConnection(server.url(), {}), "observe");
  });
  afterAll(async () => {
    await session.close();
    await server.stop();
  });

  test("rebuilds only what the rest needs, and names the tables that nobody looked at", async () => {
    const target = resolveConnection(server.url(), {});
    const signal = new AbortController().signal;
    const context = { observe: target, build: target, settings: defaults, clock: systemClock, signal };
    const quiet = { ...context, emit: () => undefined };
    const source = liveTarget(session, workloadOfTraffic(quiet, session, { observeMs: null, seed: 1 }));
    const input = { ...quiet, source, budgetBytes: 1e9, whatIf: "shadow" as const, maxColumns: 2, limits: defaults };
    const { advice, relations } = await withAdvice(input, async (found, planner) => {
      const shadow = await openSession((planner as ShadowPlanner).connection(), "build");
      const rows = await shadow.query<{ name: string }>(
        "select relname as name from pg_class where relnamespace = 'app'::regnamespace and relkind in ('r', 'p', 'v') order by 1",
      );
      await shadow.close();
      return { advice: found, relations: rows.map((row) => row.name) };
    });

    expect(relations).toEqual(
      ["behind", "hot", "inside", "parts", "parts_high", "parts_low", "recent", "tenants"].toSorted(),
    );
    expect(advice.leftOut).toEqual([]);
    expect([...advice.failed.values()]).toEqual([]);
    const { workload, create } = adviceDocument(advice);
    expect(workload.minor?.tables).toEqual(["app.cold", "app.colder"]);
    expect(workload.minor?.share).toBeLessThan(0.01);
    expect(workload.statements).toBe(advice.workload.statements.length + (workload.minor?.statements ?? 0));
    expect(workload.statements).toBe(heavy.length + shapes.length + light.length);
    expect(create.map((one) => one.table)).toContain("app.hot");
  });
});
