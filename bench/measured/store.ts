import type { Random } from "../../src/runtime/index.ts";

/** How many rows a database of about this size has. */
interface Extent {
  readonly customers: number;
  readonly products: number;
  readonly orders: number;
  readonly lines: number;
  readonly payments: number;
  readonly events: number;
}

export const extentOf = (gigabytes: number): Extent => ({
  customers: Math.round(200_000 * gigabytes),
  products: 20_000,
  orders: Math.round(1_200_000 * gigabytes),
  lines: Math.round(4_000_000 * gigabytes),
  payments: Math.round(1_200_000 * gigabytes),
  events: Math.round(3_000_000 * gigabytes),
});

const period = "timestamptz '2024-01-01' + random() * interval '700 days'";

/** Makes and fills a store's tables; one statement each, so that progress can be shown. */
export const storeSetup = (extent: Extent): readonly string[] => [
  `create table customer (id bigint primary key, email text not null, country text not null, city text not null, segment integer not null,
     created_at timestamptz not null, deleted_at timestamptz)`,
  `insert into customer select n, 'user' || n || '@example.org', (array['de','fr','us','jp','br'])[1 + (5 * random() ^ 2)::int % 5],
     'city ' || (random() * 3000)::int, (random() * 9)::int, ${period}, case when random() < 0.03 then ${period} end
     from generate_series(1, ${String(extent.customers)}) n`,
  "create table product (id integer primary key, sku text not null, category integer not null, price numeric(10,2) not null, is_listed boolean not null)",
  `insert into product select n, 'SKU-' || n, (random() * 200)::int, random() * 500, random() < 0.9 from generate_series(1, ${String(extent.products)}) n`,
  `create table purchase (id bigint primary key, customer_id bigint not null, status text not null, placed_at timestamptz not null,
     total numeric(12,2) not null, ship_country text not null)`,
  `insert into purchase select n, 1 + (random() * ${String(extent.customers - 1)})::bigint,
     case when random() < 0.01 then 'open' when random() < 0.05 then 'returned' else 'done' end,
     timestamptz '2024-01-01' + n * (interval '700 days' / ${String(extent.orders)}), random() * 900,
     (array['de','fr','us','jp','br'])[1 + (random() * 4)::int] from generate_series(1, ${String(extent.orders)}) n`,
  "create table line (id bigint primary key, purchase_id bigint not null, product_id integer not null, quantity integer not null, price numeric(10,2) not null)",
  `insert into line select n, 1 + (random() * ${String(extent.orders - 1)})::bigint, 1 + (random() ^ 2 * ${String(extent.products - 1)})::int,
     1 + (random() * 4)::int, random() * 500 from generate_series(1, ${String(extent.lines)}) n`,
  "create table payment (id bigint primary key, purchase_id bigint not null, method text not null, state text not null, paid_at timestamptz, amount numeric(12,2) not null)",
  `insert into payment select n, 1 + (random() * ${String(extent.orders - 1)})::bigint, (array['card','paypal','invoice'])[1 + (random() * 2)::int],
     case when random() < 0.004 then 'pending' else 'settled' end, ${period}, random() * 900 from generate_series(1, ${String(extent.payments)}) n`,
  "create table event (id bigint primary key, customer_id bigint not null, kind integer not null, at timestamptz not null, note text not null)",
  `insert into event select n, 1 + (random() * ${String(extent.customers - 1)})::bigint, (random() ^ 3 * 40)::int,
     timestamptz '2024-01-01' + n * (interval '700 days' / ${String(extent.events)}), md5(n::text) from generate_series(1, ${String(extent.events)}) n`,
];

/** One thing the application asks. */
export interface Asked {
  readonly name: string;
  /** How often it runs, in the unit of the total. */
  readonly calls: number;
  /** With values drawn anew for each run. */
  readonly draw: (random: Random) => string;
}

const integer = (random: Random, below: number): string => String(1 + Math.floor(random() * below));
const day = (random: Random): string =>
  `timestamptz '2024-01-01' + interval '${String(Math.floor(random() * 660))} days'`;
const country = (random: Random): string => ["de", "fr", "us", "jp", "br"][Math.floor(random() * 5)] ?? "de";

export const questions = (extent: Extent): readonly Asked[] => {
  const customer = (random: Random): string => integer(random, extent.customers);
  const purchase = (random: Random): string => integer(random, extent.orders);
  const product = (random: Random): string => integer(random, extent.products);
  const all: readonly (readonly [string, number, Asked["draw"]])[] = [
    [
      "purchases of a customer",
      40,
      (r) =>
        `select id, placed_at, total from purchase where customer_id = ${customer(r)} order by placed_at desc limit 10`,
    ],
    [
      "a customer's total",
      20,
      (r) => `select count(*), sum(total) from purchase where customer_id = ${customer(r)} and status = 'done'`,
    ],
    [
      "open purchases of a day",
      10,
      (r) =>
        `select id, customer_id from purchase where status = 'open' and placed_at >= ${day(r)} order by placed_at limit 50`,
    ],
    [
      "purchases of a week by country",
      4,
      (r) =>
        `select ship_country, count(*), sum(total) from purchase where placed_at >= ${day(r)} and placed_at < ${day(r)} + interval '7 days' group by ship_country`,
    ],
    [
      "lines of a purchase",
      40,
      (r) =>
        `select l.quantity, l.price, p.sku from line l join product p on p.id = l.product_id where l.purchase_id = ${purchase(r)}`,
    ],
    [
      "sales of a product",
      6,
      (r) => `select sum(quantity), sum(quantity * price) from line where product_id = ${product(r)}`,
    ],
    [
      "buyers of a product",
      4,
      (r) =>
        `select distinct o.customer_id from line l join purchase o on o.id = l.purchase_id where l.product_id = ${product(r)} and o.placed_at > ${day(r)}`,
    ],
    [
      "what a customer bought",
      10,
      (r) =>
        `select l.product_id, sum(l.quantity) from purchase o join line l on l.purchase_id = o.id where o.customer_id = ${customer(r)} group by l.product_id`,
    ],
    [
      "pending payments",
      10,
      () => "select id, purchase_id, amount from payment where state = 'pending' order by id limit 100",
    ],
    ["payments of a purchase", 20, (r) => `select * from payment where purchase_id = ${purchase(r)}`],
    [
      "purchases without payment",
      1,
      (r) =>
        `select count(*) from purchase o where o.placed_at >= ${day(r)} and o.status = 'open' and not exists (select from payment p where p.purchase_id = o.id)`,
    ],
    ["login", 30, (r) => `select * from customer where lower(email) = 'user${customer(r)}@example.org'`],
    [
      "customers of a city",
      5,
      (r) => `select id, email from customer where city = 'city ${integer(r, 3000)}' and deleted_at is null`,
    ],
    ["deleted customers", 2, (r) => `select count(*) from customer where deleted_at > ${day(r)}`],
    [
      "new customers by segment",
      2,
      (r) =>
        `select segment, count(*) from customer where country = '${country(r)}' and created_at >= ${day(r)} group by segment`,
    ],
    [
      "last events of a customer",
      30,
      (r) => `select at, kind, note from event where customer_id = ${customer(r)} order by at desc limit 20`,
    ],
    [
      "rare events of a month",
      3,
      (r) =>
        `select customer_id, at from event where kind = ${String(30 + Math.floor(r() * 10))} and at >= ${day(r)} order by at limit 200`,
    ],
    [
      "events of an hour",
      4,
      (r) =>
        `select kind, count(*) from event where at >= ${day(r)} and at < ${day(r)} + interval '1 hour' group by kind`,
    ],
    [
      "products of a category",
      10,
      (r) =>
        `select id, sku, price from product where category = ${integer(r, 200)} and is_listed order by price limit 20`,
    ],
    [
      "a new purchase",
      40,
      (r) => `insert into purchase select max(id) + 1, ${customer(r)}, 'open', now(), 10, 'de' from purchase`,
    ],
    ["a new line", 60, (r) => `insert into line select max(id) + 1, ${purchase(r)}, ${product(r)}, 1, 5 from line`],
    ["a new event", 100, (r) => `insert into event select max(id) + 1, ${customer(r)}, 3, now(), 'x' from event`],
    ["a purchase is done", 30, (r) => `update purchase set status = 'done' where id = ${purchase(r)}`],
  ];
  return all.map(([name, calls, draw]) => ({ name, calls, draw }));
};
