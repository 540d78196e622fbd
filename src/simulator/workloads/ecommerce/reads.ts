import type { QueryShape } from "../../shape.ts";
import { cities, counts, daysBefore, emailOf, pick, popular, sessionOf, skuOf, uniform } from "./distribution.ts";

const read = (
  name: string,
  weight: number,
  planted: boolean,
  sql: string,
  parameters: QueryShape["parameters"],
): QueryShape => ({ name, sql, kind: "read", weight, planted, parameters });

/** Slow for want of an index. */
const missing: readonly QueryShape[] = [
  read(
    "orders of a customer",
    8,
    true,
    `select id, status, total_amount, created_at from orders where customer_id = $1 order by created_at desc limit 20`,
    (random) => [popular(random, counts.customers)],
  ),
  read(
    "items of an order",
    6,
    true,
    `select i.id, i.quantity, i.unit_price, p.name, p.sku
from order_items i join products p on p.id = i.product_id where i.order_id = $1`,
    (random) => [uniform(random, counts.orders)],
  ),
  read(
    "customer by e-mail",
    6,
    true,
    `select id, full_name, status, loyalty_points from customers where email = $1`,
    (random) => [emailOf(popular(random, counts.customers))],
  ),
  read(
    "recent events of a customer",
    4,
    true,
    `select event_type, product_id, payload, created_at from events where customer_id = $1 order by created_at desc limit 50`,
    (random) => [popular(random, counts.customers)],
  ),
  read(
    "events of a session",
    4,
    true,
    `select id, event_type, payload from events where session_id = $1 order by created_at`,
    (random) => [sessionOf(random)],
  ),
  read(
    "products of a category by price",
    4,
    true,
    `select id, name, price, rating from products where category_id = $1 and status = 'active' order by price limit 24`,
    (random) => [uniform(random, counts.categories)],
  ),
  read("product by SKU", 3, true, `select id, name, price, status from products where sku = $1`, (random) => [
    skuOf(uniform(random, counts.products)),
  ]),
  read(
    "oldest orders to ship",
    3,
    true,
    `select id, customer_id, created_at from orders where status = $1 and created_at < $2 order by created_at limit 50`,
    (random) => ["paid", daysBefore(random, 0, 5)],
  ),
  read(
    "open orders of a customer",
    3,
    true,
    `select count(*) from orders where customer_id = $1 and status in ('pending', 'paid')`,
    (random) => [popular(random, counts.customers)],
  ),
  read(
    "turnover of a product",
    2,
    true,
    `select count(*), sum(quantity * unit_price - discount) from order_items where product_id = $1`,
    (random) => [popular(random, counts.products)],
  ),
  read(
    "products a customer bought",
    1,
    true,
    `select i.product_id, sum(i.quantity) as bought
from orders o join order_items i on i.order_id = o.id
where o.customer_id = $1 group by i.product_id order by bought desc limit 10`,
    (random) => [popular(random, counts.customers)],
  ),
  read(
    "turnover of a day by hour",
    2,
    true,
    `select date_trunc('hour', created_at) as hour, count(*), sum(total_amount)
from orders where created_at >= $1 and created_at < $1::timestamptz + interval '1 day' group by 1 order by 1`,
    (random) => [daysBefore(random, 1, 60)],
  ),
];

/** Fast as they are: the control. */
const served: readonly QueryShape[] = [
  read(
    "product by id",
    12,
    false,
    `select id, name, description, price, status, rating from products where id = $1`,
    (random) => [popular(random, counts.products)],
  ),
  read("order by id", 6, false, `select * from orders where id = $1`, (random) => [uniform(random, counts.orders)]),
  read(
    "customer by id",
    6,
    false,
    `select id, full_name, email, status, loyalty_points from customers where id = $1`,
    (random) => [popular(random, counts.customers)],
  ),
  read(
    "stock of a product",
    6,
    false,
    `select warehouse_id, quantity - reserved as available from inventory where product_id = $1`,
    (random) => [popular(random, counts.products)],
  ),
];

/** Where an index is a bad idea, each for its own reason. */
const traps: readonly QueryShape[] = [
  // A table of one page.
  read("category by slug", 4, false, `select id, name, parent_id from categories where slug = $1`, (random) => [
    `category-${uniform(random, counts.categories)}`,
  ]),
  // Two fifths of the rows have the value, and the answer needs them whole.
  read(
    "newsletter audience",
    1,
    false,
    `select country, count(*), max(last_login_at) from customers where marketing_opt_in = $1 group by country`,
    (random) => [random() < 0.5],
  ),
  // Unbounded text: an entry of more than 2704 bytes would make a later insert fail.
  read(
    "orders to an address",
    1,
    false,
    `select id, customer_id from orders where shipping_address = $1 limit 10`,
    (random) => [`${uniform(random, 200)} ${pick(random, ["Via Roma", "Calle Mayor", "Kerkstraat"])}, rear building`],
  ),
  // Nothing to look up: it reads the whole table however one turns it.
  read(
    "events by device",
    1,
    false,
    `select payload ->> 'device' as device, count(*), avg((payload ->> 'duration_ms')::numeric) from events group by 1`,
    () => [],
  ),
];

/** Narrow enough for an index that helps several of them, if one looks twice. */
const several: readonly QueryShape[] = [
  read(
    "customers of a city last seen",
    1,
    true,
    `select id, full_name, last_login_at from customers where country = $1 and city = $2 order by last_login_at desc limit 20`,
    (random) => pick<readonly [string, string]>(random, cities),
  ),
];

export const reads: readonly QueryShape[] = [...missing, ...several, ...served, ...traps];
