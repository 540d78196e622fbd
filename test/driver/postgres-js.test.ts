import postgres from "postgres";
import { afterEach, describe, expect, test } from "vitest";
import { type GateExperiment, intercept, type Interception, type Measurement } from "../../src/driver/index.ts";
import { canary, withoutTime, withShop } from "./shop.ts";

const shop = withShop();
const open: postgres.Sql[] = [];
afterEach(async () => {
  for (const sql of open.splice(0)) await sql.end();
});

const connect = (): postgres.Sql => {
  const sql = postgres(shop().url, { max: 2, onnotice: () => undefined });
  open.push(sql);
  return sql;
};
const hooked = async (
  experiments: readonly GateExperiment[] = [canary],
  observe?: (measurement: Measurement) => void,
): Promise<Interception & { sql: postgres.Sql }> => {
  const hook = intercept(connect(), { experiments, ...(observe === undefined ? {} : { observe }) });
  await hook.ready;
  return hook;
};

const seen = async (work: () => PromiseLike<unknown>): Promise<unknown> => {
  try {
    return await work();
  } catch (error) {
    const { code, message, position } = error as { code?: string; message: string; position?: string };
    return { code, message, position };
  }
};

const behaviours: Record<string, (sql: postgres.Sql) => Promise<unknown>> = {
  "a template with values": (sql) =>
    sql`select id, total from orders where customer_id = ${7} and status = ${"new"} order by id`,
  "a template without values": (sql) => sql`select count(*), max(created_at) from orders where customer_id = 7`,
  "values and gates side by side": (sql) =>
    sql`select ${1}::int as one from orders where customer_id = ${7} or id = ${3} limit ${2}`,
  "rows as arrays": (sql) => sql`select id from orders where customer_id = ${7} order by id`.values(),
  "fragments and lists": (sql) =>
    sql`select id from orders where ${sql`customer_id = ${7}`} and ${sql("status")} in ${sql(["new", "paid"])} order by id`,
  "a text": (sql) => sql.unsafe("select id from orders where customer_id = $1 order by id", [7]),
  "several statements in a text": (sql) => sql.unsafe("select 1 as a; select count(*) from orders"),
  "a cursor": async (sql) => {
    const rows: unknown[] = [];
    for await (const part of sql`select id from orders where customer_id = ${7} order by id`.cursor(3))
      rows.push([...part]);
    return rows;
  },
  "each row": async (sql) => {
    const rows: unknown[] = [];
    await sql`select id from orders where customer_id = ${7} order by id`.forEach((row) => rows.push(row));
    return rows;
  },
  "a description": async (sql) => {
    const { string, types, columns } = await sql`select id from orders where customer_id = ${7}`.describe();
    return { string, types, columns };
  },
  errors: (sql) =>
    Promise.all([
      seen(() => sql`select nope from orders`),
      seen(() => sql`select 1 / (id - id) from orders`),
      seen(() => sql`insert into orders values (1, 1, 'new', 1, now())`),
      seen(() => sql`select * from orders where id = ${undefined as unknown as number}`),
    ]),
  "a transaction": (sql) =>
    sql.begin(async (tx) => {
      const gone = await tx`delete from orders where customer_id = ${7} returning id`;
      const inner = await seen(() => tx.savepoint((sp) => sp`select nope from orders`));
      const late = await seen(() =>
        tx.savepoint((sp) => sp`select id from orders where customer_id = 7 order by nope`),
      );
      const left = await tx`select count(*) from orders`;
      await tx`insert into orders ${tx(gone.map(({ id }) => ({ id: Number(id), customer_id: 7, status: "new", total: 1, created_at: "2020-01-01" })))}`;
      return [gone, inner, late, left];
    }),
  "a transaction that fails": (sql) =>
    seen(() =>
      sql.begin(async (tx) => {
        await tx`delete from orders where customer_id = ${8}`;
        throw new Error("no");
      }),
    ),
  "a connection of one's own": async (sql) => {
    const own = await sql.reserve();
    const rows = await own`select count(*) from orders where customer_id = ${8}`;
    own.release();
    return rows;
  },
};

describe("postgres.js does the same with the hook and without it:", () => {
  test.each(Object.entries(behaviours))("%s", async (_, behaviour) => {
    const without = JSON.stringify(await behaviour(connect()));
    const hook = await hooked();
    expect(JSON.stringify(await behaviour(hook.sql))).toEqual(without);
    expect(hook.counts().failures).toBe(0);
  });
});

describe("the hook of postgres.js", () => {
  test("lets the treatment arm use the index, and nobody else", async () => {
    for (const [share, used] of [
      [0, 0],
      [1, 3],
    ] as const) {
      const before = await shop().scans();
      const { sql } = await hooked([{ ...canary, share }]);
      await sql`select * from orders where customer_id = ${7}`;
      await sql.unsafe("select * from orders where customer_id = 7");
      await sql.begin((tx) => tx`select * from orders where customer_id = ${7}`);
      await sql.end();
      expect((await shop().scans()) - before).toBe(used);
    }
  });

  test("measures statements, those put together from fragments too", async () => {
    const measured: Measurement[] = [];
    const { sql, counts } = await hooked([canary], (one) => measured.push(one));
    await sql`select * from orders where customer_id = ${7}`;
    await sql`select * from orders where ${sql`customer_id = ${8}`}`;
    await seen(() => sql`select 1 / (id - id) from orders`);
    expect(measured.map(withoutTime)).toEqual([
      { experiment: "canary", arm: "treatment", gated: true, rows: 10, error: null, read: true },
      { experiment: "canary", arm: "treatment", gated: false, rows: 10, error: null, read: true },
      { experiment: "canary", arm: "treatment", gated: true, rows: null, error: "22012", read: true },
    ]);
    expect(measured[0]?.fingerprint).toBe(measured[1]?.fingerprint);
    expect(counts().skipped).toEqual({ fragments: 1 });
  });

  test("keeps one arm through a transaction", async () => {
    const measured: Measurement[] = [];
    const { sql } = await hooked([{ ...canary, share: 0.5 }], (one) => measured.push(one));
    const arms = new Set<string>();
    for (let i = 0; i < 20; i += 1) {
      measured.length = 0;
      await sql.begin((tx) => [1, 2, 3].map((id) => tx`select * from orders where id = ${id}`));
      const used = new Set(measured.flatMap(({ arm }) => arm ?? []));
      expect(used.size).toBe(1);
      for (const arm of used) arms.add(arm);
    }
    expect(arms.size).toBe(2);
  });

  test("sends the original where the server refuses the gate", async () => {
    const { sql, counts } = await hooked([{ ...canary, column: "gone" }]);
    for (let i = 0; i < 3; i += 1) expect(await sql`select id from orders where customer_id = ${7}`).toHaveLength(10);
    expect(await sql.unsafe("select id from orders where customer_id = 7")).toHaveLength(10);
    expect(counts()).toMatchObject({ gated: 0, failures: 0 });
  });

  test("leaves bare names alone once a search path has been changed", async () => {
    const { sql, counts } = await hooked();
    await sql`set search_path = public`;
    await sql`select id from orders where customer_id = ${7}`;
    await sql`select id from public.orders where customer_id = ${7}`;
    expect(counts()).toMatchObject({ gated: 1, skipped: { "search path unclear": 1 } });
  });
});
