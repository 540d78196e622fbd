import { type Fixture, key, pairsIn, unknownEnd } from "./fixture.ts";

const pairs = pairsIn("public");
const trigram = (column: string) => key(column, { opclass: "gin_trgm_ops" });

/** A shop: skewed foreign keys, money, full text, jsonb attributes, a partial and an expression index. */
export const commerce: Fixture = {
  name: "commerce",
  searchPath: ["public"],
  role: "postgres",
  fill: (scale) => `
    create extension pg_trgm; create extension pgstattuple;
    select setseed(0.42);
    create table categories (id integer primary key, parent_id integer references categories, name text not null);
    create table customers (id integer primary key, email text not null unique, name text, country char(2), segment varchar(20),
      created_at timestamptz not null, credit numeric(10,2), newsletter boolean, referred_by integer);
    create table products (id integer primary key, sku text not null unique, title text, category_id integer references categories,
      price numeric(10,2), stock integer, description text, search tsvector, attributes jsonb, tags text[]);
    create table orders (id bigint primary key, customer_id integer not null references customers, status text not null,
      placed_at timestamptz not null, total numeric(12,2), currency char(3), shipped_at timestamptz, coupon text, note text);
    create table order_items (order_id bigint not null references orders, line smallint, product_id integer references products,
      quantity integer, price numeric(10,2), primary key (order_id, line));
    create table reviews (id integer primary key, product_id integer, customer_id integer, stars smallint, body text, created_at timestamptz);
    insert into categories select i, nullif(i / 8, 0), 'Category ' || i from generate_series(1, 200) i;
    insert into customers select i, 'user' || i || '@' || (array['example.org','mail.test','shop.test'])[1 + i % 3], initcap(substr(md5(i::text), 1, 4 + i % 6)) || ' ' || initcap(substr(md5((i * 7)::text), 1, 8)),
      (array['de','fr','us','us','us','jp','gb','br'])[1 + floor(8 * random() ^ 2)::int], (array['retail','business','wholesale'])[1 + floor(3 * random() ^ 3)::int],
      timestamptz '2020-01-01' + i * interval '2 hours', case when random() < 0.3 then round((random() * 1000)::numeric, 2) end, random() < 0.4, case when random() < 0.1 then 1 + floor(random() * i)::int end
      from generate_series(1, ${String(Math.round(20_000 * scale))}) i;
    insert into products select i, 'SKU-' || lpad(i::text, 7, '0'), initcap(w.a) || ' ' || w.b || ' ' || w.c, 1 + floor(200 * random() ^ 2)::int, round((5 + random() ^ 4 * 2000)::numeric, 2), floor(random() * 300)::int,
      (select string_agg(substr(md5((i * 31 + k * (k % 7))::text), 1, 3 + k % 3), ' ') from generate_series(1, 12) k), null,
      jsonb_build_object('color', (array['red','blue','green','black','white'])[1 + floor(5 * random() ^ 2)::int], 'size', floor(random() * 40)::int, 'brand', 'b' || floor(80 * random() ^ 2)::int, 'eco', random() < 0.1),
      array['t' || floor(60 * random() ^ 2)::int, 't' || floor(60 * random())::int, 'g' || i % 7]
      from generate_series(1, ${String(Math.round(10_000 * scale))}) i,
      lateral (select (array['classic','modern','light','heavy','smart'])[1 + i % 5] a, (array['lamp','chair','phone','shirt','table','boot','knife'])[1 + i % 7] b, substr(md5(i::text), 1, 5) c) w;
    update products set search = to_tsvector('simple', title || ' ' || description);
    insert into orders select i, 1 + floor(${String(Math.round(20_000 * scale))} * random() ^ 2)::int, s.status, timestamptz '2023-01-01' + i * interval '9 minutes', round((random() ^ 3 * 900 + 10)::numeric, 2),
      (array['EUR','USD','USD','JPY'])[1 + i % 4], case when s.status in ('shipped','delivered') then timestamptz '2023-01-02' + i * interval '9 minutes' + random() * interval '5 days' end,
      case when random() < 0.05 then 'C' || floor(random() * 50)::int end, case when random() < 0.2 then md5(i::text) end
      from generate_series(1, ${String(Math.round(100_000 * scale))}) i,
      lateral (select (array['delivered','delivered','delivered','shipped','open','returned','cancelled'])[1 + floor(7 * random() ^ 2)::int + 0 * i] status) s;
    insert into order_items select o.id, l, 1 + floor(${String(Math.round(10_000 * scale))} * random() ^ 3)::int, 1 + floor(random() * 5)::int, round((random() * 200)::numeric, 2)
      from orders o, generate_series(1, 1 + (o.id % 4)::int) l;
    insert into reviews select i, 1 + floor(${String(Math.round(10_000 * scale))} * random() ^ 2)::int, 1 + floor(${String(Math.round(20_000 * scale))} * random())::int, 1 + floor(5 * random() ^ 0.5)::int, repeat(md5(i::text) || ' ', 1 + i % 5), timestamptz '2023-01-01' + random() * interval '600 days'
      from generate_series(1, ${String(Math.round(40_000 * scale))}) i;
    create index orders_customer on orders (customer_id);
    create index items_product on order_items (product_id);
    create index reviews_product on reviews (product_id, created_at desc);
    create index orders_open on orders (placed_at) where status = 'open';
    create index customers_lower_email on customers (lower(email));
    create index products_search on products using gin (search);
    create index products_category on products (category_id) include (price);`,
  change: `
    delete from order_items where order_id % 10 = 3; delete from orders where id % 10 = 3;
    update orders set status = 'delivered', shipped_at = placed_at + interval '3 days' where id % 10 = 4;
    update order_items set quantity = quantity + 1 where order_id % 10 = 5;
    insert into orders select 10000000 + i, 1 + i % 9000, 'open', timestamptz '2025-06-01' + i * interval '9 minutes', i % 900, 'EUR', null, null, null
      from generate_series(1, (select count(*)::int / 10 from orders)) i;
    insert into order_items select o.id, l, 1 + (o.id % 5000)::int, 1, 10 from orders o, generate_series(1, 2) l where o.id > 10000000;
    delete from reviews where id % 7 = 0; update reviews set stars = 1 where id % 7 = 1;
    insert into reviews select 1000000 + i, i % 5000, i % 9000, 3, 'late', timestamptz '2025-01-01' + i * interval '5 minutes' from generate_series(1, 5000) i;
    update customers set segment = 'business' where id % 5 = 0;
    insert into customers select 500000 + i, 'late' || i || '@example.org', 'Late', 'de', 'retail', timestamptz '2026-01-01', null, true, null from generate_series(1, 2000) i;
    update products set stock = 0 where id % 4 = 0; delete from products where id % 31 = 0 and not exists (select from order_items i where i.product_id = products.id);`,
  queries: [
    "select * from orders where id = 777",
    "select * from orders where customer_id = 1",
    "select * from orders where customer_id = 15000 order by placed_at desc limit 20",
    "select * from orders where status = 'open' and placed_at > '2024-08-01'",
    "select * from orders where status = 'returned' order by placed_at limit 50",
    "select count(*) from orders where placed_at >= '2024-09-01'",
    "select count(*) from orders where placed_at > '2024-09-15 12:00'",
    "select * from orders where placed_at > '2025-06-20'",
    "select * from orders where id > 99500",
    "select max(id), min(id) from orders",
    "select status, count(*), sum(total) from orders group by status",
    "select currency, status, avg(total) from orders group by grouping sets ((currency), (status), ())",
    "select date_trunc('month', placed_at) m, sum(total) from orders group by 1 order by 1",
    "select * from orders where coupon is not null and total > 800",
    "select * from orders where coupon in ('C1', 'C2', 'C7')",
    "select * from orders where total between 100 and 110",
    "select * from orders where note like 'abc%'",
    "select * from customers where email = 'user77@shop.test'",
    "select * from customers where lower(email) = 'user77@shop.test'",
    "select * from customers where email like 'user12%'",
    "select * from customers where name ilike '%smith%'",
    "select country, count(*) from customers group by country having count(*) > 100",
    "select distinct country, segment from customers",
    "select * from customers where country = 'jp' and segment = 'wholesale'",
    "select * from customers where credit > 990",
    "select * from customers where referred_by is null and newsletter limit 10",
    "select c.id, c.email, count(o.id) from customers c left join orders o on o.customer_id = c.id where c.country = 'br' group by c.id",
    "select c.* from customers c where exists (select from orders o where o.customer_id = c.id and o.total > 890)",
    "select c.* from customers c where not exists (select from orders o where o.customer_id = c.id)",
    "select * from customers where id in (select customer_id from orders where status = 'returned' and total > 800)",
    "select * from customers where id = any (array[5, 10, 500, 19000])",
    "select * from customers where id not in (select referred_by from customers where referred_by is not null)",
    "select o.*, i.* from orders o join order_items i on i.order_id = o.id where o.customer_id = 42",
    "select p.title, sum(i.quantity) q from order_items i join products p on p.id = i.product_id group by p.id order by q desc limit 10",
    "select p.title, r.stars from products p join reviews r on r.product_id = p.id where p.id = 17 order by r.created_at desc limit 5",
    "select p.id, x.body from products p cross join lateral (select body from reviews r where r.product_id = p.id order by created_at desc limit 1) x where p.category_id = 3",
    "select distinct on (customer_id) customer_id, placed_at, total from orders order by customer_id, placed_at desc",
    "select id, total, rank() over (partition by customer_id order by total desc) from orders where customer_id < 50",
    "select id, sum(total) over (order by placed_at rows 10 preceding) from orders where status = 'cancelled'",
    "select * from (select *, row_number() over (partition by category_id order by price desc) n from products) p where n <= 3",
    "with top as (select customer_id, sum(total) s from orders group by customer_id order by s desc limit 100) select c.name, t.s from top t join customers c on c.id = t.customer_id",
    "with recursive tree as (select id, parent_id from categories where id = 3 union all select c.id, c.parent_id from categories c join tree t on c.parent_id = t.id) select p.* from products p join tree t on t.id = p.category_id",
    "with r as materialized (select * from reviews where stars = 1) select p.sku, count(*) from r join products p on p.id = r.product_id group by 1",
    "select id from customers where country = 'de' union select customer_id from orders where total > 850",
    "select product_id from order_items where quantity = 5 intersect select product_id from reviews where stars = 5",
    "select id from products except select product_id from order_items",
    "select customer_id from orders where coupon = 'C3' union all select customer_id from reviews where stars = 2",
    "select * from products where search @@ to_tsquery('simple', 'lamp & abc')",
    "select * from products where search @@ to_tsquery('simple', 'chair')",
    "select count(*) from products where search @@ plainto_tsquery('simple', 'modern phone')",
    'select * from products where attributes @> \'{"color": "black"}\'',
    "select * from products where attributes ->> 'brand' = 'b7'",
    "select * from products where (attributes ->> 'size')::int > 35 and stock = 0",
    "select * from products where tags && array['t1', 't2']",
    "select * from products where 't55' = any (tags)",
    "select category_id, min(price), max(price) from products group by category_id",
    "select price from products where category_id = 12 order by price",
    "select * from products where sku between 'SKU-0000100' and 'SKU-0000200' order by sku",
    "select * from products where stock < (select avg(stock) / 10 from products)",
    "select o.id, (select count(*) from order_items i where i.order_id = o.id) from orders o where o.placed_at::date = '2024-01-01'",
    "select o1.id from orders o1 join orders o2 on o1.customer_id = o2.customer_id and o2.placed_at > o1.placed_at where o1.coupon = 'C9'",
    "select c.country, p.category_id, sum(i.price * i.quantity) from customers c join orders o on o.customer_id = c.id join order_items i on i.order_id = o.id join products p on p.id = i.product_id where o.placed_at > '2024-08-15' group by rollup (c.country, p.category_id)",
    "update orders set status = 'cancelled' where status = 'open' and placed_at < '2023-02-01'",
    "delete from reviews where created_at < '2023-01-05'",
    "select * from orders where (customer_id, placed_at) > (19000, '2024-01-01') order by customer_id, placed_at limit 10",
    "select * from order_items where order_id between 5000 and 5050 and line = 2",
    "select product_id, count(*) filter (where quantity > 3) from order_items group by product_id order by 2 desc limit 5",
  ],
  causes: [{ index: /\((price|shipped_at|total)\b/, cause: unknownEnd }],
  pairs: [
    pairs(
      "orders",
      ["placed_at"],
      ["select * from orders where placed_at > '2024-09-01'", "select * from orders order by placed_at desc limit 10"],
    ),
    pairs(
      "orders",
      ["status", key("placed_at", { direction: "desc" })],
      [
        "select * from orders where status = 'returned' order by placed_at desc limit 20",
        "select * from orders where status = 'cancelled' and placed_at > '2024-08-01'",
      ],
    ),
    pairs(
      "orders",
      [key("total", { direction: "desc", nulls: "last" })],
      ["select * from orders order by total desc nulls last limit 10"],
    ),
    pairs(
      "orders",
      ["customer_id", "placed_at"],
      [
        "select * from orders where customer_id = 9 and placed_at > '2024-01-01'",
        "select distinct on (customer_id) customer_id, placed_at from orders order by customer_id, placed_at",
      ],
    ),
    pairs(
      "orders",
      ["customer_id"],
      ["select customer_id, sum(total) from orders where customer_id between 100 and 200 group by customer_id"],
      { include: ["total", "status"] },
    ),
    pairs(
      "orders",
      ["coupon"],
      ["select * from orders where coupon = 'C3'", "select count(*) from orders where coupon is not null"],
    ),
    pairs("orders", ["coupon"], ["select * from orders where coupon = 'C11'"], { where: "(coupon IS NOT NULL)" }),
    pairs("orders", ["total"], ["select * from orders where status = 'returned' and total > 850"], {
      where: "(status = 'returned'::text)",
    }),
    pairs("orders", ["shipped_at"], ["select * from orders where shipped_at > '2024-09-10'"]),
    pairs("orders", ["note"], ["select * from orders where note = 'abc'"]),
    pairs("orders", [key("note", { opclass: "text_pattern_ops" })], ["select * from orders where note like 'abc%'"]),
    pairs("orders", ["note"], ["select * from orders where note = 'c4ca4238a0b923820dcc509a6f75849b'"], {
      method: "hash",
    }),
    pairs(
      "orders",
      ["placed_at"],
      ["select count(*) from orders where placed_at between '2024-01-01' and '2024-01-03'"],
      { method: "brin" },
    ),
    pairs("order_items", ["product_id", "quantity"], ["select sum(quantity) from order_items where product_id = 500"]),
    pairs("order_items", ["price"], ["select * from order_items where price > 199.9"]),
    pairs(
      "order_items",
      ["product_id"],
      ["select product_id, sum(price) from order_items where product_id < 20 group by 1"],
      { include: ["price"] },
    ),
    pairs("order_items", ["product_id"], ["select * from order_items where product_id = 9000"], { method: "hash" }),
    pairs(
      "customers",
      ["country", "segment"],
      [
        "select * from customers where country = 'jp' and segment = 'wholesale'",
        "select country, segment, count(*) from customers group by 1, 2",
      ],
    ),
    pairs(
      "customers",
      [key("name", { opclass: "varchar_pattern_ops" })],
      ["select * from customers where name like 'Abc%'"],
    ),
    pairs(
      "customers",
      [trigram("name")],
      ["select * from customers where name ilike '%c81e728%'", "select * from customers where name like '%abcde%'"],
      { method: "gin" },
    ),
    pairs(
      "customers",
      [key("email", { expression: "split_part(email, '@'::text, 1)" })],
      ["select * from customers where split_part(email, '@', 1) = 'user99'"],
    ),
    pairs(
      "customers",
      [key("created_at", { expression: "date(timezone('UTC'::text, created_at))" })],
      ["select * from customers where date(created_at at time zone 'UTC') = '2021-05-05'"],
    ),
    pairs(
      "customers",
      ["referred_by"],
      [
        "select * from customers where referred_by = 12",
        "select * from customers c join customers r on r.referred_by = c.id where c.id < 20",
      ],
    ),
    pairs("customers", ["credit"], ["select * from customers where credit > 995 order by credit"]),
    pairs(
      "products",
      ["tags"],
      ["select * from products where tags @> array['t55']", "select * from products where tags && array['t50', 't51']"],
      { method: "gin" },
    ),
    pairs(
      "products",
      ["attributes"],
      ['select * from products where attributes @> \'{"brand": "b70", "color": "white"}\''],
      { method: "gin" },
    ),
    pairs(
      "products",
      [key("attributes", { opclass: "jsonb_path_ops" })],
      ['select * from products where attributes @> \'{"brand": "b70"}\''],
      { method: "gin" },
    ),
    pairs(
      "products",
      [key("search", { opclass: "tsvector_ops" })],
      ["select * from products where search @@ to_tsquery('simple', 'abc & lamp')"],
      { method: "gist" },
    ),
    pairs("products", [trigram("description")], ["select * from products where description like '%abcd%'"], {
      method: "gin",
    }),
    pairs("products", ["price", "stock"], ["select * from products where price > 1900 order by price"]),
    pairs(
      "products",
      [key("attributes", { expression: "(attributes ->> 'brand'::text)" })],
      ["select * from products where attributes ->> 'brand' = 'b7'"],
    ),
    pairs(
      "products",
      [key("sku", { opclass: "text_ops" })],
      ["select * from products where sku between 'SKU-0000100' and 'SKU-0000150'"],
      { method: "spgist" },
    ),
    pairs("reviews", ["created_at"], ["select * from reviews where created_at > '2024-08-20' order by created_at"]),
    pairs(
      "reviews",
      ["stars", "product_id"],
      [
        "select * from reviews where stars = 1 and product_id = 77",
        "select stars, count(*) from reviews group by stars",
      ],
    ),
    pairs(
      "reviews",
      ["customer_id"],
      [
        "select * from reviews where customer_id = 55",
        "select c.name, r.body from customers c join reviews r on r.customer_id = c.id where c.id < 30",
      ],
    ),
  ],
};
