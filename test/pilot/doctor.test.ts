import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { type EmbeddedServer, startEmbedded } from "../../src/embedded/index.ts";
import { type Check, diagnose } from "../../src/pilot/index.ts";
import { openSession, resolveConnection, type Session } from "../../src/postgres/index.ts";

/** A server with two roles that have all they need, and an administrator who mends things. */
interface Clinic {
  readonly server: EmbeddedServer;
  readonly admin: Session;
  readonly close: () => Promise<void>;
}

const openClinic = async (major: number, settings: Record<string, string> = {}): Promise<Clinic> => {
  const server = await startEmbedded({
    major,
    settings: { autovacuum: "on", track_io_timing: "on", track_wal_io_timing: "on", ...settings },
  });
  const admin = await openSession(resolveConnection(server.url(), {}), "store");
  await admin.script(`
    create role watcher login in role pg_monitor, pg_read_all_data;
    create role builder login in role pg_monitor;
    grant create on database postgres to builder;
    grant create on schema public to builder;
    create table public.stock (id int primary key, warehouse int);
    alter table stock owner to builder;`);
  // What a session has changed is counted when it ends, and must be before the table is analysed.
  const filling = await openSession(resolveConnection(server.url(), {}), "store");
  await filling.query("insert into stock select n, n % 7 from generate_series(1, 5000) n");
  await filling.close();
  const counted = (changes: number): Promise<unknown> =>
    vi.waitUntil(
      async () =>
        (await admin.query("select from pg_stat_user_tables where n_mod_since_analyze = $1", [changes])).length === 1,
      { timeout: 20_000 },
    );
  await counted(5000);
  await admin.query("analyze stock");
  await counted(0);
  return {
    server,
    admin,
    close: async () => {
      await admin.close();
      await server.stop();
    },
  };
};

/** One statement after the other, each on its own, as a person's psql sends them. */
const asPsql = async (session: Session, text: string): Promise<void> => {
  const statements = text.replaceAll(/--.*$/gm, "").split(";");
  for (const statement of statements) if (statement.trim() !== "") await session.query(statement);
};

const connect = ({ server }: Clinic, user: string): ReturnType<typeof resolveConnection> =>
  resolveConnection(server.url("postgres", user), {});

const checksOf = async (
  clinic: Clinic,
  observe = "watcher",
  build: string | null = "builder",
): Promise<readonly Check[]> => {
  const target = connect(clinic, observe);
  return (await diagnose(target, build === null ? target : connect(clinic, build))).checks;
};

const named = (checks: readonly Check[], name: string): Check | undefined =>
  checks.find((check) => check.name === name);

/** What is wrong in how bad a way, under which check, and what its remedy must say. */
interface Situation {
  readonly name: string;
  readonly make: string;
  readonly check: string;
  readonly level: Check["level"];
  readonly remedy: string;
  /** Puts back what the remedy does not. */
  readonly after?: string;
}

const situations: readonly Situation[] = [
  {
    name: "the extension is not in this database",
    make: "drop extension pg_stat_statements",
    check: "pg_stat_statements",
    level: "problem",
    remedy: "create extension pg_stat_statements;",
  },
  {
    name: "an old version of the extension is installed",
    make: "drop extension pg_stat_statements; create extension pg_stat_statements version '1.8'",
    check: "pg_stat_statements",
    level: "problem",
    remedy: "alter extension pg_stat_statements update;",
  },
  {
    name: "its view is closed to the role",
    make: "revoke select on pg_stat_statements from public; revoke pg_monitor, pg_read_all_data from watcher; grant pg_read_all_stats to watcher; grant select on stock to watcher",
    check: "pg_stat_statements",
    level: "problem",
    remedy:
      "grant usage on schema public to watcher; grant select on public.pg_stat_statements, public.pg_stat_statements_info to watcher;",
    after:
      "grant select on pg_stat_statements to public; grant pg_monitor, pg_read_all_data to watcher; revoke pg_read_all_stats from watcher; revoke select on stock, pg_stat_statements from watcher",
  },
  {
    name: "nothing is tracked",
    make: "alter system set pg_stat_statements.track = none; select pg_reload_conf()",
    check: "pg_stat_statements",
    level: "problem",
    remedy: "alter system set pg_stat_statements.track = top; select pg_reload_conf();",
  },
  {
    name: "the application's role is not tracked",
    make: `create role "the app"; alter role "the app" set pg_stat_statements.track = none`,
    check: "pg_stat_statements",
    level: "problem",
    remedy: `alter role "the app" reset pg_stat_statements.track;`,
    after: `drop role "the app"`,
  },
  {
    name: "statements have no ids",
    make: "alter system set compute_query_id = off; select pg_reload_conf()",
    check: "pg_stat_statements",
    level: "problem",
    remedy: "alter system set compute_query_id = auto; select pg_reload_conf();",
  },
  {
    name: "planning is tracked",
    make: "alter system set pg_stat_statements.track_planning = on; select pg_reload_conf()",
    check: "pg_stat_statements: planning",
    level: "note",
    remedy: "alter system set pg_stat_statements.track_planning = off; select pg_reload_conf();",
  },
  {
    name: "the observing role sees its own statements only",
    make: "revoke pg_monitor from watcher",
    check: "observe: everybody's statements",
    level: "problem",
    remedy: "grant pg_read_all_stats to watcher;",
    after: "grant pg_monitor to watcher; revoke pg_read_all_stats from watcher",
  },
  {
    name: "the observing role may not read a table",
    make: "revoke pg_read_all_data from watcher",
    check: "observe: planner statistics, EXPLAIN",
    level: "problem",
    remedy: "grant pg_read_all_data to watcher;",
  },
  {
    name: "row-level security blinds the observing role",
    make: "alter table stock enable row level security; revoke pg_read_all_data from watcher; grant select on stock to watcher",
    check: "observe: row-level security",
    level: "problem",
    remedy: "grant pg_read_all_data to watcher;",
    after: "alter table stock disable row level security; revoke select on stock from watcher",
  },
  {
    name: "the building role does not own a table that another role owns",
    make: `create role "Owner"; create table "Odd ""name" (id int primary key); alter table "Odd ""name" owner to "Owner"`,
    check: "build: tables",
    level: "problem",
    remedy: 'grant "Owner" to builder;',
    after: `drop table "Odd ""name"; drop role "Owner"`,
  },
  {
    name: "the building role does not own a table of a superuser's, who is not to be granted",
    make: `create table "Odd ""name" (id int primary key)`,
    check: "build: tables",
    level: "problem",
    remedy: 'alter table public."Odd ""name" owner to builder;',
    after: `drop table "Odd ""name"`,
  },
  {
    name: "the building role may not create in a schema",
    make: "create schema sales authorization postgres; create table sales.t (id int primary key); alter table sales.t owner to builder",
    check: "build: tables",
    level: "problem",
    remedy: "grant usage, create on schema sales to builder;",
    after: "drop schema sales cascade",
  },
  {
    name: "the building role has no place for the store",
    make: "revoke create on database postgres from builder",
    check: "build: own schema",
    level: "problem",
    remedy: "grant create on database postgres to builder;",
  },
  {
    name: "the building role cannot see others' transactions",
    make: "revoke pg_monitor from builder",
    check: "build: others' transactions",
    level: "warning",
    remedy: "grant pg_read_all_stats to builder;",
    after: "grant pg_monitor to builder; revoke pg_read_all_stats from builder",
  },
  {
    name: "the building role's transactions are read-only",
    make: "alter role builder set default_transaction_read_only = on",
    check: "build: writing",
    level: "problem",
    remedy: "alter role builder in database postgres set default_transaction_read_only = off; -- unless it is meant",
    after: "alter role builder reset default_transaction_read_only; alter role builder in database postgres reset all",
  },
  {
    name: "the building role has too few connections",
    make: "alter role builder connection limit 2",
    check: "build: connections",
    level: "problem",
    remedy: "alter role builder connection limit 3;",
    after: "alter role builder connection limit -1",
  },
  {
    name: "a table was never analysed",
    make: "create table fresh as select n from generate_series(1, 3000) n; alter table fresh owner to builder",
    check: "planner statistics",
    level: "warning",
    remedy: "analyze public.fresh;",
    after: "drop table fresh",
  },
  {
    name: "a partitioned table was never analysed as a whole",
    make: "create table parts (n int) partition by range (n); create table parts_1 partition of parts for values from (1) to (9000); insert into parts select generate_series(1, 3000); analyze parts_1; alter table parts owner to builder; alter table parts_1 owner to builder",
    check: "planner statistics",
    level: "warning",
    remedy: "analyze public.parts;",
    after: "drop table parts",
  },
  {
    name: "statistics are older than the rows",
    make: "insert into stock select n, n % 7 from generate_series(5001, 9000) n",
    check: "planner statistics: age",
    level: "warning",
    remedy: "analyze public.stock;",
  },
  {
    name: "autovacuum is off",
    make: "alter system set autovacuum = off; select pg_reload_conf()",
    check: "autovacuum",
    level: "warning",
    remedy: "alter system set autovacuum = on; select pg_reload_conf();",
  },
  {
    name: "counting is off",
    make: "alter system set track_counts = off; select pg_reload_conf()",
    check: "track_counts",
    level: "warning",
    remedy: "alter system set track_counts = on; select pg_reload_conf();",
  },
  {
    name: "reading is not timed",
    make: "alter system set track_io_timing = off; select pg_reload_conf()",
    check: "track_io_timing",
    level: "note",
    remedy: "alter system set track_io_timing = on; select pg_reload_conf();",
  },
  {
    name: "a replication slot is not read",
    make: "select pg_create_physical_replication_slot('left_over', true)",
    check: "replication slot",
    level: "warning",
    remedy: "select pg_drop_replication_slot('left_over');",
  },
];

describe.each([14, 18])("the doctor of PostgreSQL %i", (major) => {
  let clinic: Clinic;
  beforeAll(async () => {
    // Autovacuum must not mend what the tests break.
    clinic = await openClinic(major, { autovacuum_naptime: "1d" });
    await clinic.admin.query("create extension pg_stat_statements");
  });
  afterAll(() => clinic.close());

  test("finds nothing wrong where both roles have what the manual grants them", async () => {
    const checks = await checksOf(clinic);
    expect(checks.filter(({ level }) => level === "problem" || level === "warning")).toEqual([]);
    expect(checks.filter(({ level }) => level === "ok").every(({ remedy }) => remedy === null)).toBe(true);
    expect(named(checks, "disk")).toMatchObject({ level: "note", found: expect.stringMatching(/cannot be seen/) });
  });

  test.each(situations)("finds that $name, and the remedy is enough", async (situation) => {
    const { admin } = clinic;
    await asPsql(admin, situation.make);
    try {
      // Settings reach other sessions, and counters the statistics, a moment later.
      const check = await vi.waitFor(
        async () => {
          // Before 15 a session reports what it has changed with a later statement of its own.
          await admin.query("select");
          const now = named(await checksOf(clinic), situation.check);
          expect(now?.level).toBe(situation.level);
          return now;
        },
        { timeout: 20_000, interval: 100 },
      );
      expect(check?.remedy).toContain(situation.remedy);
      await asPsql(admin, check?.remedy ?? "");
      await vi.waitFor(async () => expect(named(await checksOf(clinic), situation.check)?.level ?? "ok").toBe("ok"), {
        timeout: 20_000,
        interval: 100,
      });
    } finally {
      if (situation.after !== undefined) await asPsql(admin, situation.after);
    }
  });

  test("knows that a member who does not inherit has nothing of the membership", async () => {
    await clinic.admin.script("create role shy login noinherit in role pg_read_all_data, pg_read_all_stats");
    for (const name of ["observe: everybody's statements", "observe: planner statistics, EXPLAIN"]) {
      const check = named(await checksOf(clinic, "shy"), name);
      expect(check).toMatchObject({ level: "problem", remedy: expect.stringMatching(/inherit/) });
      await asPsql(clinic.admin, check?.remedy ?? "");
      expect(named(await checksOf(clinic, "shy"), name)).toMatchObject({ level: "ok" });
      if (major < 16) await clinic.admin.script("alter role shy noinherit");
    }
  });

  test("warns only, where the one role is not meant to build", async () => {
    const checks = await checksOf(clinic, "watcher", null);
    expect(checks.filter(({ level }) => level === "problem")).toEqual([]);
    expect(named(checks, "build: tables")).toMatchObject({
      level: "warning",
      remedy: expect.stringContaining("grant builder to watcher"),
    });
  });

  test("recognises extensions that manage tables themselves", async () => {
    // They are not to be had here, but what tells them apart is: a row of pg_extension.
    await clinic.admin.script(`set allow_system_table_mods = on;
      insert into pg_extension select 90000, 'timescaledb', extowner, extnamespace, true, '2.17.0', null, null from pg_extension where extname = 'plpgsql'`);
    try {
      expect(named(await checksOf(clinic), "timescaledb")).toMatchObject({
        level: "note",
        found: expect.stringMatching(/TimescaleDB 2.17.0.*never writes/),
      });
    } finally {
      await clinic.admin.script("delete from pg_extension where oid = 90000; reset allow_system_table_mods");
    }
  });
});
