import type { QueryShape } from "../../shape.ts";
import { counts, pick, popular, uniform } from "./distribution.ts";

const write = (
  name: string,
  weight: number,
  planted: boolean,
  sql: string,
  parameters: QueryShape["parameters"],
): QueryShape => ({ name, sql, kind: "write", weight, planted, parameters });

const money = (random: () => number, most: number): string => (5 + most * random() ** 2).toFixed(2);

/** They keep the shares of the statuses about as they were loaded. */
export const writes: readonly QueryShape[] = [
  write(
    "place an order",
    4,
    false,
    `with placed as (
  insert into orders (customer_id, total_amount, shipping_address) values ($1, $2, $3) returning id
)
insert into order_items (order_id, product_id, quantity, unit_price)
select placed.id, p.id, $6, p.price from placed, products p where p.id in ($4, $5)`,
    (random) => [
      popular(random, counts.customers),
      money(random, 1500),
      `${uniform(random, 200)} Hauptstraße`,
      popular(random, counts.products),
      uniform(random, counts.products),
      uniform(random, 3),
    ],
  ),
  write("move an order on", 4, false, `update orders set status = $2, updated_at = now() where id = $1`, (random) => [
    uniform(random, counts.orders),
    pick(random, ["paid", "shipped", "delivered", "delivered", "delivered"]),
  ]),
  write(
    "add an item",
    2,
    false,
    `insert into order_items (order_id, product_id, quantity, unit_price) values ($1, $2, $3, $4)`,
    (random) => [
      uniform(random, counts.orders),
      popular(random, counts.products),
      uniform(random, 4),
      money(random, 900),
    ],
  ),
  write(
    "record an event",
    6,
    false,
    `insert into events (customer_id, session_id, event_type, product_id, payload) values ($1, gen_random_uuid(), $2, $3, $4)`,
    (random) => [
      popular(random, counts.customers),
      pick(random, ["page_view", "page_view", "search", "add_to_cart"]),
      uniform(random, counts.products),
      JSON.stringify({ device: pick(random, ["phone", "desktop", "tablet"]), duration_ms: uniform(random, 90_000) }),
    ],
  ),
  write(
    "reserve stock",
    4,
    false,
    `update inventory set reserved = reserved + $3, updated_at = now() where product_id = $1 and warehouse_id = $2`,
    (random) => [popular(random, counts.products), uniform(random, 2), random() < 0.5 ? 1 : -1],
  ),
  write("note a login", 3, false, `update customers set last_login_at = now() where id = $1`, (random) => [
    popular(random, counts.customers),
  ]),
  write(
    "cancel unpaid orders of a customer",
    1,
    true,
    `update orders set status = 'cancelled', updated_at = now() where customer_id = $1 and status = 'pending' and created_at < now() - interval '2 days'`,
    (random) => [popular(random, counts.customers)],
  ),
];
