import { quoteLiteral } from "../../../postgres/index.ts";
import { cities, counts, days, eventsPerSession, lastDay, skew, spread } from "./distribution.ts";

/** One table's load: a few statements, made on the server. */
export interface LoadStep {
  readonly table: string;
  readonly sql: string;
}

/**
 * The SQL that fills the tables. Every value is a hash of its row's number, a column's number and the seed: no order of evaluation, plan or
 * parallelism can change it. Takes an exclusive place in new tables only; needs INSERT.
 */
export const loadSteps = (seed: number): readonly LoadStep[] => {
  if (!Number.isInteger(seed)) throw new Error("a seed is an integer");
  /** A number in [0, 1) for row i. PostgreSQL's hash functions are the same on 14 to 18. */
  const u = (column: number): string =>
    `((hashint8extended(i, ${BigInt.asIntN(64, BigInt(seed) * 1000n + BigInt(column))}) & 9007199254740991) / 9007199254740992.0::float8)`;
  const popular = (column: number, count: number): string =>
    `1 + (floor(${count} * power(${u(column)}, ${skew}))::bigint * ${spread}) % ${count}`;
  const uniform = (column: number, count: number): string => `1 + floor(${count} * ${u(column)})::bigint`;
  const money = (column: number, from: number, to: number): string =>
    `round((${from} + ${to - from} * power(${u(column)}, 2))::numeric, 2)`;
  const array = (values: readonly string[]): string => `(array[${values.map(quoteLiteral).join(", ")}])`;
  const at = (dayFraction: string): string =>
    `(${quoteLiteral(lastDay)}::timestamptz - interval '1 second' * round(86400 * ${days} * (${dayFraction})))`;
  const rows = (count: number): string => `from generate_series(1::bigint, ${count}) as i`;
  const restart = (table: string): string =>
    `select setval(pg_get_serial_sequence('${table}', 'id'), (select max(id) from ${table}));`;

  return [
    {
      table: "categories",
      sql: `
insert into categories (id, parent_id, name, slug)
select i, case when i > 10 then 1 + i % 10 end, 'Category ' || i, 'category-' || i
${rows(counts.categories)};
${restart("categories")}`,
    },
    {
      table: "customers",
      sql: `
insert into customers (id, email, full_name, country, city, status, loyalty_points, marketing_opt_in, created_at, last_login_at)
select i,
  'customer.' || i || '@example.com',
  ${array(["Ada", "Bruno", "Carla", "Dmitri", "Elif", "Femke", "Giulia", "Hugo", "Ines", "Jan"])}[1 + floor(10 * ${u(1)})::int] || ' '
    || ${array(["Almeida", "Bauer", "Conti", "Dubois", "Eriksen", "Ferrari", "García", "Horvat", "Ivanov", "Jansen"])}[1 + floor(10 * ${u(2)})::int],
  ${array(cities.map(([country]) => country))}[city], ${array(cities.map(([, city]) => city))}[city],
  case when ${u(3)} < 0.94 then 'active' when ${u(3)} < 0.99 then 'dormant' else 'blocked' end,
  floor(5000 * power(${u(4)}, 4))::int,
  ${u(5)} < 0.4,
  ${at(`3 * ${u(6)}`)},
  ${at(u(7))}
from (select i, 1 + floor(${cities.length} * power(${u(8)}, 2))::int as city ${rows(counts.customers)}) as drawn;
${restart("customers")}`,
    },
    {
      table: "products",
      sql: `
insert into products (id, category_id, sku, name, description, price, status, rating, created_at)
select i,
  1 + floor(${counts.categories} * power(${u(11)}, 2))::int,
  'SKU-' || lpad(i::text, 8, '0'),
  ${array(["Basic", "Compact", "Deluxe", "Eco", "Family", "Grand"])}[1 + floor(6 * ${u(12)})::int] || ' product ' || i,
  repeat('A thing one did not know one needed. ', 3 + floor(4 * ${u(13)})::int),
  ${money(14, 2, 900)},
  case when ${u(15)} < 0.9 then 'active' when ${u(15)} < 0.97 then 'discontinued' else 'draft' end,
  case when ${u(16)} < 0.8 then round((5 - 4 * power(${u(16)}, 3))::numeric, 2) end,
  ${at(`3 * ${u(17)}`)}
${rows(counts.products)};
${restart("products")}`,
    },
    {
      table: "orders",
      // In the order of time, as orders come.
      sql: `
insert into orders (id, customer_id, status, total_amount, currency, coupon_code, shipping_address, created_at, updated_at, shipped_at)
select i, customer_id, status, total_amount, currency, coupon_code, shipping_address, created_at,
  created_at + interval '1 hour' * floor(72 * ${u(21)}),
  case when status in ('shipped', 'delivered', 'returned') then created_at + interval '1 hour' * floor(72 * ${u(21)}) end
from (
  select i,
    ${popular(22, counts.customers)} as customer_id,
    case when ${u(23)} < 0.80 then 'delivered' when ${u(23)} < 0.88 then 'shipped' when ${u(23)} < 0.94 then 'cancelled'
      when ${u(23)} < 0.97 then 'returned' when ${u(23)} < 0.985 then 'paid' else 'pending' end as status,
    ${money(24, 5, 1500)} as total_amount,
    case when ${u(25)} < 0.9 then 'EUR' when ${u(25)} < 0.97 then 'CHF' else 'GBP' end as currency,
    case when ${u(26)} < 0.12 then 'SAVE' || floor(40 * ${u(27)})::int end as coupon_code,
    floor(200 * ${u(28)})::int || ' ' || ${array(["Rue de la Gare", "Hauptstraße", "Via Roma", "Calle Mayor", "Kerkstraat"])}[1 + floor(5 * ${u(29)})::int] as shipping_address,
    ${at(`(${counts.orders} - i + ${u(30)}) / ${counts.orders}.0`)} as created_at
  ${rows(counts.orders)}
) as drawn;
${restart("orders")}`,
    },
    {
      table: "order items",
      sql: `
insert into order_items (id, order_id, product_id, quantity, unit_price, discount)
select i, 1 + (i - 1) * ${counts.orders} / ${counts.orderItems}, ${popular(31, counts.products)},
  1 + floor(4 * power(${u(32)}, 3))::int, ${money(33, 2, 900)}, case when ${u(34)} < 0.1 then ${money(35, 0, 20)} else 0 end
${rows(counts.orderItems)};
${restart("order_items")}`,
    },
    {
      table: "inventory",
      sql: `
insert into inventory (product_id, warehouse_id, quantity, reserved, updated_at)
select 1 + (i - 1) / 2, 1 + i % 2, floor(400 * ${u(41)})::int, floor(12 * power(${u(42)}, 4))::int, ${at(`0.1 * ${u(43)}`)}
${rows(counts.inventory)};`,
    },
    {
      table: "events",
      sql: `
insert into events (id, customer_id, session_id, event_type, product_id, payload, created_at)
select i, ${popular(51, counts.customers)},
  md5('session ' || i / ${eventsPerSession})::uuid,
  ${array(["page_view", "search", "add_to_cart", "checkout", "review"])}[1 + floor(5 * power(${u(52)}, 3))::int],
  case when ${u(53)} < 0.7 then ${uniform(54, counts.products)} end,
  jsonb_build_object('device', ${array(["phone", "desktop", "tablet"])}[1 + floor(3 * power(${u(55)}, 2))::int],
    'referrer', 'campaign-' || floor(50 * ${u(56)})::int, 'duration_ms', floor(90000 * power(${u(57)}, 4))::int),
  ${at(`(${counts.events} - i + ${u(58)}) / ${counts.events}.0`)}
${rows(counts.events)};
${restart("events")}`,
    },
  ];
};
