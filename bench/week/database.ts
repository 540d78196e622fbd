import pg from "pg";
import type { Random } from "../../src/runtime/index.ts";

/**
 * Tables with four indexes each, and the share of the application's work that each gets; `ledger` is larger than a rebuild may be. A third of the rows of `items`
 * change in a week, so that its random keys split what a rebuild has filled; of the others a twentieth, which the room in fresh pages takes.
 */
export const tables = [
  { name: "orders", rows: 200_000, share: 0.1 },
  { name: "items", rows: 180_000, share: 0.7 },
  { name: "visits", rows: 220_000, share: 0.1 },
  { name: "ledger", rows: 900_000, share: 0.1 },
] as const;

const tableAt = (at: number): (typeof tables)[number] => {
  let rest = at;
  return tables.find(({ share }) => (rest -= share) < 0) ?? tables[0];
};

const row = (n: string): string =>
  `${n}, gen_random_uuid(), (random() * 20000)::int, timestamp '2026-01-01' + random() * interval '400 days', 'C' || lpad((random() * 1e9)::bigint::text, 10, '0')`;

/** Roles as the README has them: one that looks, and one that builds as a member of the owner. */
const roles = (database: string): string => `
  create role shop nologin; create role watcher login in role pg_monitor, pg_read_all_data; create role builder login in role shop;
  grant create on database ${database} to builder; grant usage, create on schema public to shop, builder;
  create extension pg_stat_statements`;

/** Fills the tables and has most of their rows deleted, so that every index is more than half empty. */
export const makeBloated = async (client: pg.Client, database: string, random: Random): Promise<void> => {
  await client.query(roles(database));
  await client.query(`select setseed(${String(random())})`);
  for (const { name, rows } of tables) {
    await client.query(`
      create table ${name} (id bigint primary key, token uuid not null, customer int not null, at timestamp not null, code text not null);
      insert into ${name} select ${row("n")} from generate_series(1, ${String(rows)}) n;
      create index ${name}_token on ${name} (token); create index ${name}_customer on ${name} (customer, at); create index ${name}_code on ${name} (code);
      alter table ${name} owner to shop`);
    await client.query(`delete from ${name} where random() < ${(0.5 + 0.2 * random()).toFixed(2)}`);
    await client.query(`vacuum analyze ${name}`);
  }
};

export interface Application {
  readonly calls: () => number;
  /** Statements that failed. */
  readonly errors: readonly string[];
  /** The longest that a statement took, milliseconds. */
  readonly longestMs: () => number;
  stop(): Promise<void>;
}

/** Connections that insert, update, delete and look up all the time, until they are told to stop. */
export const startApplication = async (url: string, random: Random): Promise<Application> => {
  const errors: string[] = [];
  const told = new AbortController();
  let [calls, longestMs, next] = [0, 0, 10_000_000];
  const work = async (): Promise<void> => {
    const client = new pg.Client(url);
    await client.connect();
    const send = async (sql: string, values: readonly unknown[]): Promise<void> => {
      const began = performance.now();
      try {
        await client.query(sql, [...values]);
      } catch (error) {
        errors.push(`${sql}: ${String(error)}`);
      }
      calls += 1;
      longestMs = Math.max(longestMs, performance.now() - began);
    };
    while (!told.signal.aborted) {
      const table = tableAt(random());
      const id = 1 + Math.floor(random() * table.rows);
      next += 1;
      await send(`insert into ${table.name} select ${row("$1::bigint")}`, [next]);
      await send(`update ${table.name} set token = gen_random_uuid(), customer = $2 where id = $1`, [id, id % 20_000]);
      await send(`delete from ${table.name} where id = $1`, [id + 1]);
      await send(`select code from ${table.name} where customer = $1 order by at desc limit 5`, [id % 20_000]);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    await client.end();
  };
  const running = Promise.all([work(), work()]);
  return {
    calls: () => calls,
    errors,
    longestMs: () => longestMs,
    stop: async () => {
      told.abort();
      await running;
    },
  };
};
