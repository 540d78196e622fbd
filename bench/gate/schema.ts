import { type Gate, gatePredicate } from "../../src/sql/index.ts";

/** The index on trial stands on `orders (customer_id)`, a column with nulls. */
export const gate: Gate = {
  table: { schema: "public", name: "orders" },
  column: "customer_id",
  number: 4711,
  bareName: true,
};

/**
 * A shop with what makes rewriting hard: nulls, a table of the same name in another schema, views and functions over the table, a self-reference,
 * names in capitals; `orders` has so many rows, a multiple of 100. Up to 30,000, ANALYZE reads them all, so that two databases made of it have the same statistics.
 */
export const schema = (rows: number): string => `
  create table customers (id int primary key, name text not null, region int not null, referrer int references customers);
  insert into customers select i, 'customer ' || i, i % 7, nullif(i / 3, 0) from generate_series(1, ${rows / 10}) i;
  create table orders (id int primary key, customer_id int, parent int, status text not null, total numeric(10,2), created_at date not null, note text, tags int[] not null);
  insert into orders select i, nullif(i * 37 % ${rows / 10 + 20}, 0), nullif(i / 5, 0), (array['new','paid','sent','gone'])[1 + i % 4], nullif(i * 31 % 997, 3),
    date '2020-01-01' + i % 700, case when i % 5 > 0 then 'note ' || i % 50 end, array[i % 3, i % 5]
    from generate_series(1, ${rows}) i;
  create table items (id int primary key, order_id int not null, product_id int not null, quantity int not null);
  insert into items select i, 1 + i * 7 % ${rows + 100}, i * 13 % 60, i % 9 from generate_series(1, ${rows * 1.5}) i;
  create index on items (order_id);
  create table products (id int primary key, name text not null, "Price" int not null);
  insert into products select i, 'product ' || i, i * 3 from generate_series(0, 59) i;
  create schema archive;
  create table archive.orders (like orders);
  insert into archive.orders select * from orders where id % 10 = 0;
  create view recent as select * from orders where created_at > date '2021-01-01';
  create function orders_of(int) returns setof orders language sql stable as 'select * from orders where customer_id = $1';
`;

export const gatedIndex = "orders_on_trial";
export const createGatedIndex = `create index ${gatedIndex} on orders (customer_id) where ${gatePredicate(gate)}`;
/** Makes the planner's estimate of the rows behind the gate exact. */
export const createGateStatistics = `create statistics orders_gate on (${gatePredicate(gate)}), customer_id from orders`;
export const ordinaryIndex = "orders_ordinary";
export const createOrdinaryIndex = `create index ${ordinaryIndex} on orders (customer_id)`;
