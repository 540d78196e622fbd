import { eq } from "drizzle-orm";
import { drizzle } from "drizzle-orm/node-postgres";
import { drizzle as drizzleOnPostgresJs } from "drizzle-orm/postgres-js";
import { integer, numeric, pgTable, text } from "drizzle-orm/pg-core";
import knex from "knex";
import { type Generated, Kysely, PostgresDialect } from "kysely";
import pg from "pg";
import Cursor from "pg-cursor";
import postgres from "postgres";
import { expect, test } from "vitest";
import { intercept, type Measurement } from "../../src/driver/index.ts";
import { canary, withShop } from "./shop.ts";

const shop = withShop();

const orders = pgTable("orders", {
  id: integer().primaryKey(),
  customerId: integer("customer_id").notNull(),
  status: text().notNull(),
  total: numeric(),
});
const customers = pgTable("customers", { id: integer().primaryKey(), name: text().notNull() });

interface Database {
  orders: { id: Generated<number>; customer_id: number; status: string; total: string };
  customers: { id: number; name: string };
}

/** Runs the same work with and without the hook: same rows, every statement on the table gated, and the index used. */
const compared = async (work: (pool: pg.Pool) => Promise<unknown>): Promise<void> => {
  const run = async (): Promise<unknown> => {
    const pool = new pg.Pool({ connectionString: shop().url, max: 1 });
    try {
      return await work(pool);
    } finally {
      await pool.end();
    }
  };
  const without = await run();
  const before = await shop().scans();
  const measured: Measurement[] = [];
  const hook = intercept(pg, { experiments: [canary], observe: (one) => measured.push(one) });
  await hook.ready;
  try {
    expect(await run()).toEqual(without);
  } finally {
    hook.remove();
  }
  const onTable = measured.filter(({ experiment }) => experiment !== null);
  expect(onTable.length).toBeGreaterThan(3);
  expect(onTable.every(({ gated }) => gated)).toBe(true);
  expect((await shop().scans()) - before).toBeGreaterThan(2);
};

test("Drizzle's statements, prepared ones and transactions are gated", () =>
  compared(async (pool) => {
    const db = drizzle(pool);
    const prepared = db.select().from(orders).where(eq(orders.customerId, 9)).orderBy(orders.id).prepare("by_customer");
    return [
      await db.select().from(orders).where(eq(orders.customerId, 7)).orderBy(orders.id),
      await db
        .select({ name: customers.name, id: orders.id })
        .from(customers)
        .leftJoin(orders, eq(orders.customerId, customers.id))
        .where(eq(customers.id, 7))
        .orderBy(orders.id),
      await prepared.execute(),
      await prepared.execute(),
      await db.transaction((tx) =>
        tx.update(orders).set({ status: "paid" }).where(eq(orders.customerId, 8)).returning(),
      ),
    ];
  }));

test("Kysely's statements, streams and transactions are gated", () =>
  compared(async (pool) => {
    const db = new Kysely<Database>({ dialect: new PostgresDialect({ pool, cursor: Cursor }) });
    const streamed: unknown[] = [];
    for await (const row of db.selectFrom("orders").selectAll().where("customer_id", "=", 7).orderBy("id").stream(3))
      streamed.push(row);
    return [
      streamed,
      await db.selectFrom("orders as o").selectAll().where("o.customer_id", "=", 7).orderBy("o.id").execute(),
      await db
        .selectFrom("customers as c")
        .leftJoin("orders as o", "o.customer_id", "c.id")
        .select(["c.name", "o.id"])
        .where("c.id", "=", 7)
        .orderBy("o.id")
        .execute(),
      await db
        .transaction()
        .execute((tx) =>
          tx.deleteFrom("orders").where("customer_id", "=", 499).where("id", "<", 0).returningAll().execute(),
        ),
    ];
  }));

test("Knex's statements, streams and transactions are gated", () =>
  compared(async (pool) => {
    // Knex makes its own clients, of the same module.
    const db = knex({ client: "pg", connection: shop().url, pool: { min: 0, max: 1 } });
    try {
      const streamed: unknown[] = [];
      for await (const row of db("orders").where({ customer_id: 7 }).orderBy("id").stream()) streamed.push(row);
      return [
        streamed,
        await db("orders").where({ customer_id: 7 }).orWhere({ id: 3 }).orderBy("id"),
        await db("customers as c")
          .leftJoin("orders as o", "o.customer_id", "c.id")
          .where("c.id", 7)
          .select("c.name", "o.id")
          .orderBy("o.id"),
        await db.transaction((tx) =>
          tx("orders").where({ customer_id: 6 }).update({ status: "new" }, ["id", "status"]),
        ),
        await db("orders").where({ customer_id: 7 }).count(),
        await pool.query("select 1 as one").then(({ rows }) => rows as unknown),
      ];
    } finally {
      await db.destroy();
    }
  }));

test("Drizzle on postgres.js is gated, too", async () => {
  const client = postgres(shop().url, { max: 1 });
  const measured: Measurement[] = [];
  const hook = intercept(client, { experiments: [canary], observe: (one) => measured.push(one) });
  await hook.ready;
  const db = drizzleOnPostgresJs(hook.sql);
  expect(await db.select().from(orders).where(eq(orders.customerId, 7))).toHaveLength(10);
  await db.transaction((tx) => tx.select().from(orders).where(eq(orders.customerId, 7)));
  await client.end();
  expect(measured.filter(({ gated }) => gated)).toHaveLength(2);
});
