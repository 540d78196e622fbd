import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { systemClock } from "../../src/runtime/index.ts";
import type { Catalog, Table } from "../../src/domain/index.ts";
import { type EmbeddedServer, startEmbedded } from "../../src/embedded/index.ts";
import {
  openSession,
  readCatalog,
  readServerIdentity,
  resolveConnection,
  type Session,
} from "../../src/postgres/index.ts";

const schema = `
create schema indexpilot; create table indexpilot.ours (id integer primary key);
create schema "we""ird";
create extension pg_trgm schema "we""ird";
create type "we""ird"."Mood" as enum ('good', 'it''s "bad"');
create domain public.code as varchar(10) check (value <> '');
create table public.parent (id integer primary key, note text);
create table "we""ird"."T; drop table x" (
  id bigint generated always as identity primary key,
  code public.code,
  short char(3),
  name varchar(25) collate "C" not null,
  amount numeric(15, 2),
  free numeric,
  flags bit(12),
  address inet,
  body jsonb,
  raw json,
  tags text[],
  mood "we""ird"."Mood",
  doubled integer generated always as (length(name) * 2) stored,
  parent_id integer references public.parent (id),
  check (amount > 0)
) with (fillfactor = 80);
alter table "we""ird"."T; drop table x" drop column free;
alter table "we""ird"."T; drop table x" alter column name set statistics 500;
insert into "we""ird"."T; drop table x" (code, name, amount, tags, mood)
  select 'c' || i % 5, 'name ' || i, 1 + i, array['x' || i % 3], 'good' from generate_series(1, 1000) i;
create index "desc ""mixed""" on "we""ird"."T; drop table x" (name desc nulls last, code) include (amount);
create index expression on "we""ird"."T; drop table x" (lower(name)) where amount > 10;
create index by_pattern on "we""ird"."T; drop table x" (code varchar_pattern_ops);
create unique index only_one on "we""ird"."T; drop table x" (id) where mood = 'good';
comment on index "we""ird".by_pattern is 'indexpilot:x';
create table public.measures (at date not null, value integer) partition by range (at);
create table public.measures_2024 partition of public.measures for values from ('2024-01-01') to ('2025-01-01');
create index measures_value on public.measures (value);
insert into public.measures select date '2024-01-01' + i % 300, i from generate_series(1, 500) i;
create view public.looks as select m.value from public.measures m;
create materialized view public.stored as select value from public.measures;
create statistics public.together on code, mood from "we""ird"."T; drop table x";
create temporary table scratch (a integer);
analyze;
create role observer login; grant pg_monitor, pg_read_all_data to observer;
create role blind login; grant pg_monitor to blind;
alter role observer set random_page_cost = 1.5`;

describe.each([14, 15, 16, 17, 18])("the catalogue of a PostgreSQL %i", (major) => {
  let server: EmbeddedServer;
  let owner: Session;
  let observer: Session;
  let catalog: Catalog;

  const table = (name: string): Table => {
    const found = catalog.tables.find((one) => one.name === name);
    if (found === undefined) throw new Error(`no table ${name}`);
    return found;
  };

  beforeAll(async () => {
    server = await startEmbedded({ major });
    owner = await openSession(resolveConnection(server.url(), {}), "build");
    await owner.script(schema);
    observer = await openSession(resolveConnection(server.url("postgres", "observer"), {}), "observe");
    // The counters lag behind; a backend hands its own over when it next falls idle.
    const counted = `select from pg_stat_user_tables where relname like 'T;%' and n_tup_ins = 1000`;
    while ((await owner.query(counted)).length === 0) await systemClock.sleep(20);
    catalog = await readCatalog(observer);
  });

  afterAll(async () => {
    await Promise.all([owner.close(), observer.close()]);
    await server.stop();
  });

  it("holds the user's schemas and tables, and neither PostgreSQL's, ours, nor temporary ones", () => {
    expect(catalog.schemas).toEqual(["public", 'we"ird']);
    expect(catalog.tables.map((one) => `${one.kind} ${one.schema}.${one.name}`)).toEqual([
      "table public.parent",
      'table we"ird.T; drop table x',
      "partitioned public.measures",
      "table public.measures_2024",
      "materialized view public.stored",
    ]);
    expect(catalog.views.map((one) => one.name)).toEqual(["looks"]);
    expect(catalog.views[0]?.definition).toContain("public.measures");
    expect(catalog.extensions.map((one) => one.name)).toEqual(["plpgsql", "pg_trgm"]);
    expect(catalog.enums).toEqual([{ schema: 'we"ird', name: "Mood", labels: ["good", 'it\'s "bad"'] }]);
    expect(catalog.domains).toEqual([
      {
        schema: "public",
        name: "code",
        baseType: "character varying(10)",
        notNull: false,
        collation: null,
        checks: [{ name: "code_check", definition: "CHECK (((VALUE)::text <> ''::text))" }],
      },
    ]);
    expect(catalog.extendedStatistics.map((one) => one.name)).toEqual(["together"]);
    expect(catalog.extendedStatistics[0]?.data?.[0]?.distinct).toMatch(/^[0-9a-f]+$/);
  });

  it("bounds each column's width where its type does", () => {
    const widths = Object.fromEntries(table("T; drop table x").columns.map((one) => [one.name, one.maxBytes]));
    expect(widths).toEqual({
      id: 8,
      code: 44,
      short: 16,
      name: 104,
      amount: 18,
      flags: 10,
      address: 22,
      body: null,
      raw: null,
      tags: null,
      mood: 4,
      doubled: 4,
      parent_id: 4,
    });
  });

  it("describes columns by their base type, order, collation and generation", () => {
    const columns = new Map(table("T; drop table x").columns.map((one) => [one.name, one]));
    expect(columns.get("code")).toMatchObject({ type: "public.code", baseType: "varchar", collation: "default" });
    expect(columns.get("name")).toMatchObject({ collation: "pg_catalog.C", statisticsTarget: 500, notNull: true });
    expect(columns.get("mood")).toMatchObject({ type: '"we""ird"."Mood"', ordered: true, collation: null });
    expect(columns.get("raw")?.ordered).toBe(false);
    expect(columns.get("tags")).toMatchObject({ baseType: "_text", ordered: true });
    expect(columns.get("doubled")?.generated?.kind).toBe("stored");
    expect(columns.get("id")).toMatchObject({ identity: true, attnum: 1 });
    expect(columns.get("flags")?.attnum).toBe(7);
  });

  it("reads statistics with an ordinary role, also those of arrays, expressions and partitioned parents", () => {
    const columns = new Map(table("T; drop table x").columns.map((one) => [one.name, one]));
    expect(columns.get("code")?.statistics).toMatchObject({ distinct: 5, nullFraction: 0 });
    expect(columns.get("tags")?.statistics?.mostCommonElements).toBe("{x0,x1,x2}");
    expect(columns.get("short")?.statistics?.nullFraction).toBe(1);
    expect(table("measures").columns[1]).toMatchObject({ statistics: null, inheritedStatistics: { inherited: true } });
    expect(table("measures_2024").columns[1]?.statistics?.distinct).toBe(-1);
    const expression = table("T; drop table x").indexes.find((one) => one.name === "expression");
    expect(expression?.expressionStatistics?.map((one) => one.column)).toEqual(["lower"]);
    expect(table("T; drop table x")).toMatchObject({ tuples: 1000, activity: { inserts: 1000 } });
    expect(table("T; drop table x").blocks).toBe(table("T; drop table x").pages);
  });

  it("tells what each index is", () => {
    const indexes = new Map(table("T; drop table x").indexes.map((one) => [one.name, one]));
    expect(indexes.get("T; drop table x_pkey")).toMatchObject({
      primary: true,
      unique: true,
      constraint: "T; drop table x_pkey",
    });
    expect(indexes.get('desc "mixed"')).toMatchObject({
      keys: ["name", "code"],
      directions: ["desc", "asc"],
      nulls: ["last", "last"],
      include: ["amount"],
      plainKeys: true,
      valid: true,
    });
    expect(indexes.get("expression")).toMatchObject({
      keys: [null],
      plainKeys: false,
      predicate: "(amount > (10)::numeric)",
    });
    expect(indexes.get("by_pattern")).toMatchObject({ plainKeys: false, comment: "indexpilot:x" });
    expect(indexes.get("only_one")).toMatchObject({ unique: true, primary: false, constraint: null });
    expect(indexes.get("by_pattern")?.definition).toContain('ON "we""ird"."T; drop table x"');
    const parent = table("measures").indexes[0];
    expect(table("measures_2024").indexes[0]?.parentOid).toBe(parent?.oid);
  });

  it("tells how tables hang together", () => {
    expect(table("T; drop table x")).toMatchObject({
      foreignKeys: [
        { columns: ["parent_id"], referenced: { schema: "public", name: "parent" }, referencedColumns: ["id"] },
      ],
      storageParameters: ["fillfactor=80"],
      checks: [{ definition: "CHECK ((amount > (0)::numeric))" }],
    });
    expect(table("measures").partitionKey).toBe("RANGE (at)");
    expect(table("measures_2024")).toMatchObject({
      parents: [{ schema: "public", name: "measures" }],
      partitionBound: "FOR VALUES FROM ('2024-01-01') TO ('2025-01-01')",
    });
  });

  it("takes planner settings as the observing role has them", () => {
    expect(catalog.plannerSettings).toMatchObject({ random_page_cost: "1.5", cpu_tuple_cost: "0.01" });
    expect(Object.keys(catalog.plannerSettings)).toContain("enable_nestloop");
  });

  it("identifies the server and database", async () => {
    expect(catalog.server).toEqual(await readServerIdentity(owner));
    expect(catalog.server).toMatchObject({
      host: "localhost",
      port: server.port,
      database: "postgres",
      node: "primary",
    });
    expect(catalog.server.systemIdentifier).toMatch(/^\d{15,}$/);
  });

  it("leaves no transaction and no setting behind", async () => {
    const [row] = await observer.query<{ path: string; locks: string }>(
      "select current_setting('search_path') as path, (select count(*) from pg_locks where pid = pg_backend_pid() and locktype = 'relation' and relation >= 16384) as locks",
    );
    expect(row).toEqual({ path: '"$user", public', locks: "0" });
  });

  it("says so when a table stays locked, instead of queueing", async () => {
    await owner.script("begin; lock table public.parent in access exclusive mode");
    try {
      await expect(readCatalog(observer)).rejects.toMatchObject({ code: "relation_locked" });
    } finally {
      await owner.script("rollback");
    }
    expect((await readCatalog(observer)).tables).toHaveLength(5);
  });

  it("finds no statistics with pg_monitor alone", async () => {
    const blind = await openSession(resolveConnection(server.url("postgres", "blind"), {}), "observe");
    try {
      const seen = await readCatalog(blind);
      expect(seen.tables.flatMap((one) => one.columns).every((one) => one.statistics === null)).toBe(true);
    } finally {
      await blind.close();
    }
  });
});
