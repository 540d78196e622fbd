import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startEmbedded, type EmbeddedServer } from "../../src/embedded/index.ts";
import { openSession, resolveConnection, SqlState, sqlStateOf, type Session } from "../../src/postgres/index.ts";
import { seededRandom, systemClock } from "../../src/runtime/index.ts";
import {
  canaryMix,
  createDemoDatabase,
  demoSettings,
  ecommerceMix,
  harmfulIndex,
  runTraffic,
  type DemoDatabase,
  type QueryShape,
} from "../../src/simulator/index.ts";

const connect = (server: EmbeddedServer, database: string, user: string): Promise<Session> =>
  openSession(resolveConnection(server.url(database, user), {}), "store");

const tablesOf = ["categories", "customers", "events", "inventory", "order_items", "orders", "products"];

/** Checksums of the tables on the first server, which those of the next must equal. */
let firstSums: Record<string, string> | undefined;

describe.each([14, 18])("the demo's shop on PostgreSQL %i", (major) => {
  let server: EmbeddedServer;
  let demo: DemoDatabase;
  let superuser: Session;
  let session: Session;

  beforeAll(async () => {
    server = await startEmbedded({ major, settings: demoSettings });
    superuser = await connect(server, "postgres", "postgres");
    demo = await createDemoDatabase(superuser, { seed: 1 });
    session = await connect(server, "shop", "postgres");
  }, 180_000);
  afterAll(async () => {
    await session?.close();
    await superuser?.close();
    await server?.stop();
  });

  it("has more than 1.2 million rows, all of them logged, analysed, and the same for a seed on every server", async () => {
    expect(demo.rows).toBeGreaterThan(1_200_000);
    await session.query("set timezone = 'UTC'");
    const sums: Record<string, string> = {};
    for (const table of tablesOf) {
      const [row] = await session.query<{ sum: string }>(
        `select count(*) || ':' || sum(hashtextextended(t::text, 0)) as sum from ${table} t`,
      );
      sums[table] = row?.sum ?? "";
    }
    expect(sums).toEqual((firstSums ??= sums));
    const unready = await session.query(
      `select c.relname from pg_class c join pg_stat_user_tables s on s.relid = c.oid
       where relpersistence <> 'p' or last_analyze is null or last_vacuum is null`,
    );
    expect(unready).toEqual([]);
  });

  it("has primary keys and no other index", async () => {
    const indexes = await session.query<{ indisprimary: boolean }>(
      "select indisprimary from pg_index where indrelid in (select relid from pg_stat_user_tables)",
    );
    expect(indexes.map((one) => one.indisprimary)).toEqual(tablesOf.map(() => true));
  });

  it("is skewed: one in a hundred customers places a fifth of the orders", async () => {
    const [row] = await session.query<{ share: number }>(
      `select (sum(orders) filter (where rank <= 1500) / sum(orders))::float8 as share
       from (select count(*) as orders, row_number() over (order by count(*) desc) as rank from orders group by customer_id) as c`,
    );
    expect(row?.share).toBeGreaterThan(0.2);
    expect(row?.share).toBeLessThan(0.5);
  });

  it("gives no role of the loop more than it needs", async () => {
    const roles = await session.query(
      `select rolname, rolsuper, rolcreatedb, rolcreaterole, rolbypassrls from pg_roles where rolname !~ '^pg_' and rolname <> 'postgres' order by 1`,
    );
    const plain = { rolsuper: false, rolcreatedb: false, rolcreaterole: false, rolbypassrls: false };
    expect(roles).toEqual(
      ["app", "indexpilot_build", "indexpilot_observe", "shop_owner"].map((rolname) => ({ rolname, ...plain })),
    );
  });

  it("lets the observer read statistics, statements and plans, and change nothing", async () => {
    const observer = await connect(server, "shop", "indexpilot_observe");
    try {
      const [row] = await observer.query<{ columns: string }>(
        "select count(*) as columns from pg_stats where schemaname = 'public'",
      );
      expect(Number(row?.columns)).toBeGreaterThan(30);
      await session.query("select count(*) from categories where slug = 'x'");
      const seen = await observer.query(
        "select query from pg_stat_statements where query ~ 'categories' and query <> '<insufficient privilege>'",
      );
      expect(seen.length).toBeGreaterThan(0);
      await observer.query("explain select * from orders where customer_id = 1");
      const refused = await observer.query("delete from orders").catch(sqlStateOf);
      expect(refused).toBe(SqlState.insufficientPrivilege);
    } finally {
      await observer.close();
    }
  });

  it("lets the builder make a schema and build, rename, comment and drop an index, and the application none", async () => {
    const builder = await connect(server, "shop", "indexpilot_build");
    const app = await connect(server, "shop", "app");
    try {
      await builder.query("create schema indexpilot");
      await builder.query("create index concurrently temporary_name on categories (slug)");
      await builder.query("alter index temporary_name rename to by_slug");
      await builder.query("comment on index by_slug is 'ours'");
      await builder.query("drop index concurrently by_slug");
      await builder.query("drop schema indexpilot");
      const refused = await app.query("create index on categories (slug)").catch(sqlStateOf);
      expect(refused).toBe(SqlState.insufficientPrivilege);
    } finally {
      await builder.close();
      await app.close();
    }
  });

  it("makes every planted read a scan of a whole table, and no other short read", async () => {
    const random = seededRandom(3);
    for (const shape of ecommerceMix.filter(({ kind }) => kind === "read")) {
      const text = JSON.stringify(await explain(session, shape, random));
      const scans = /"Seq Scan"/.test(text);
      const reason = `${shape.name}: ${text}`;
      if (shape.planted) expect(scans, reason).toBe(true);
      if (shape.name.endsWith(" by id")) expect(scans, reason).toBe(false);
    }
  });

  it("lures the planner into the harmful index of the canary demo: the archive's pages read at least twice as much", async () => {
    const archive = canaryMix.find(({ name }) => name === "page of the events' archive");
    if (archive === undefined) throw new Error("the mix has no archive");
    const random = seededRandom(5);
    const calls = Array.from({ length: 10 }, () => textOf(archive, random));
    const before: number[] = [];
    for (const text of calls) before.push((await pagesRead(session, text)).pages);
    await session.query("begin");
    try {
      await session.query(`create index on events (${harmfulIndex.keys.map(({ column }) => column).join(", ")})`);
      for (const [i, text] of calls.entries()) {
        const after = await pagesRead(session, text);
        expect(after.plan, text).toContain("events_created_at_idx");
        expect(after.pages, text).toBeGreaterThan(2 * (before[i] ?? Infinity));
      }
    } finally {
      await session.query("rollback");
    }
  });

  it("answers its application without a single error, every statement in every round", async () => {
    const traffic = runTraffic({
      url: server.url("shop", "app"),
      connections: 4,
      // At a rate no server reaches, so that the pace is the server's own.
      callsPerSecond: 100_000,
      mix: ecommerceMix,
      seed: 1,
    });
    const rounds = (): number => Math.min(...Object.values(traffic.summary().byShape).map((one) => one.calls));
    while (rounds() < 1 && traffic.summary().errors === 0) await systemClock.sleep(20);
    const summary = await traffic.stop();
    expect(summary.errorsByCode).toEqual({});
    for (const { name, weight } of ecommerceMix) {
      expect(summary.byShape[name]?.calls, name).toBeGreaterThanOrEqual(weight - 1);
    }
    const [row] = await session.query<{ n: number }>(
      "select count(*)::int as n from pg_stat_statements s join pg_roles r on r.oid = s.userid where rolname = 'app'",
    );
    expect(row?.n).toBeGreaterThanOrEqual(ecommerceMix.length);
  });

  it("goes on after its connections were killed, and counts the calls that failed", async () => {
    const failed: string[] = [];
    const broken: QueryShape = {
      name: "broken",
      sql: "select nonsense from orders",
      kind: "read",
      weight: 1,
      planted: false,
      parameters: () => [],
    };
    const sleeping: QueryShape = { ...broken, name: "sleeping", sql: "select pg_sleep(0.02)" };
    const traffic = runTraffic({
      url: server.url("shop", "app"),
      connections: 2,
      callsPerSecond: 1000,
      mix: [broken, sleeping],
      seed: 1,
      onError: (shape) => failed.push(shape),
    });
    const until = async (condition: () => boolean): Promise<void> => {
      while (!condition()) await systemClock.sleep(10);
    };
    const calls = (): number => traffic.summary().byShape["sleeping"]?.calls ?? 0;
    await until(() => calls() > 2);
    await session.query("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'app'");
    const before = calls();
    await until(() => calls() > before + 2);
    const summary = await traffic.stop();
    expect(await traffic.stop()).toEqual(summary);
    expect(summary.errorsByCode["42703"]).toBeGreaterThan(0);
    expect(summary.byShape["broken"]).toMatchObject({ calls: 0 });
    expect(failed).toContain("broken");
    const left = await session.query("select pid from pg_stat_activity where usename = 'app' and state <> 'idle'");
    expect(left).toEqual([]);
  });
});

const textOf = ({ sql, parameters }: QueryShape, random: () => number): string => {
  const values = parameters(random).map((value) => (value === null ? "null" : `'${String(value)}'`));
  return sql.replaceAll(/\$(\d+)/g, (_, number: string) => values[Number(number) - 1] ?? "");
};

const explain = async (session: Session, shape: QueryShape, random: () => number): Promise<unknown> => {
  const [row] = await session.query<{ "QUERY PLAN": unknown }>(`explain (format json) ${textOf(shape, random)}`);
  return row?.["QUERY PLAN"];
};

const pagesRead = async (
  session: Session,
  text: string,
): Promise<{ readonly pages: number; readonly plan: string }> => {
  const [row] = await session.query<{
    "QUERY PLAN": readonly [{ Plan: { "Shared Hit Blocks": number; "Shared Read Blocks": number } }];
  }>(`explain (analyze, buffers, timing off, format json) ${text}`);
  if (row === undefined) throw new Error("an explanation without a plan");
  const [{ Plan: plan }] = row["QUERY PLAN"];
  return { pages: plan["Shared Hit Blocks"] + plan["Shared Read Blocks"], plan: JSON.stringify(plan) };
};
