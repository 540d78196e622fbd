import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { availableMajors, type EmbeddedServer, startEmbedded } from "../../src/embedded/index.ts";
import type { Session } from "../../src/postgres/index.ts";
import { readTables, type TablesReading, tablesBetween } from "../../src/workload/index.ts";
import { connect } from "./shop.ts";

const majors = [14, 15, 18].filter((major) => availableMajors().includes(major));

describe.each(majors)("what is written to tables on PostgreSQL %i", (major) => {
  let server: EmbeddedServer;
  let observer: Session;

  beforeAll(async () => {
    server = await startEmbedded({ major, settings: { autovacuum: "off" } });
    observer = await connect(server, "postgres", "postgres", "observe");
    await written(`
      create table orders (id int primary key, status int, note text) with (fillfactor = 50);
      insert into orders select i, 0, 'note' from generate_series(1, 100) i;
      create table visits (id int primary key, seen int) partition by range (id);
      create table visits_1 partition of visits for values from (0) to (100);
      create table visits_2 partition of visits for values from (100) to (200);
      create table quiet (id int)`);
  });
  afterAll(async () => {
    await observer.close();
    await server.stop();
  });

  /** Runs it in a session that ends, and waits until the session has told its counters. */
  const written = async (sql: string): Promise<void> => {
    const app = await connect(server, "postgres", "postgres");
    await app.script(sql);
    const [{ pid } = { pid: 0 }] = await app.query<{ pid: number }>("select pg_backend_pid() as pid");
    await app.close();
    await observer.script(
      `do $$ begin while exists (select from pg_stat_activity where pid = ${String(pid)})
       loop perform pg_sleep(0.01); perform pg_stat_clear_snapshot(); end loop; end $$`,
    );
  };
  const within = async (
    sql: string,
    sees: (seen: ReturnType<typeof tablesBetween>) => boolean,
  ): Promise<ReturnType<typeof tablesBetween>> => {
    const before = await readTables(observer);
    await written(sql);
    // Before 15 the counters go through a process of their own.
    for (;;) {
      const seen = tablesBetween(before, await readTables(observer));
      if (sees(seen)) return seen;
    }
  };
  const oid = async (name: string): Promise<number> =>
    (await observer.query<{ oid: number }>("select $1::regclass::oid as oid", [name]))[0]?.oid ?? 0;

  it("is counted by table, and nothing is said of the others", async () => {
    const orders = await oid("orders");
    const seen = await within(
      "update orders set status = 1 where id <= 10; delete from orders where id > 98; insert into orders values (101, 0, '')",
      (tables) => tables.has(orders),
    );
    expect([...seen]).toEqual([[orders, { inserted: 1, updated: 10, hotUpdated: 10, deleted: 2 }]]);
  });

  it("has no heap-only updates where an index holds what is updated", async () => {
    const orders = await oid("orders");
    await written("create index on orders (status)");
    const seen = await within("update orders set status = 2 where id <= 10", (tables) => tables.has(orders));
    expect(seen.get(orders)).toEqual({ inserted: 0, updated: 10, hotUpdated: 0, deleted: 0 });
  });

  it("is told of a partitioned table as the sum of its partitions", async () => {
    const [visits, first, second] = [await oid("visits"), await oid("visits_1"), await oid("visits_2")];
    const seen = await within(
      "insert into visits select i, 0 from generate_series(50, 149) i; update visits set seen = 1 where id = 120",
      (tables) => tables.get(second)?.updated === 1,
    );
    expect(new Map(seen)).toEqual(
      new Map([
        [visits, { inserted: 100, updated: 1, hotUpdated: 1, deleted: 0 }],
        [first, { inserted: 50, updated: 0, hotUpdated: 0, deleted: 0 }],
        [second, { inserted: 50, updated: 1, hotUpdated: 1, deleted: 0 }],
      ]),
    );
  });

  it.each(["pg_stat_reset()", "pg_stat_reset_single_table_counters('quiet'::regclass)"])(
    "is not known across %s",
    async (reset) => {
      await written("insert into orders values (1000, 0, '')");
      const before = await readTables(observer);
      await written(`select ${reset}; delete from orders where id = 1000`);
      let after: TablesReading;
      do after = await readTables(observer);
      while (after.resetAt?.getTime() === before.resetAt?.getTime());
      expect(tablesBetween(before, after).size).toBe(0);
    },
  );
});
