import { beforeAll, describe, expect, it } from "vitest";
import {
  analyseAccess,
  loadParser,
  parseStatement,
  type StatementAccess,
  type TableLookup,
} from "../../src/sql/index.ts";

const tables: Readonly<Record<string, readonly string[]>> = {
  orders: ["id", "customer_id", "status", "placed_at", "total", "note"],
  customers: ["id", "email", "country", "active"],
  items: ["order_id", "product_id", "quantity"],
};
const lookup: TableLookup = (schema, name) =>
  tables[name] === undefined || (schema !== null && schema !== "shop")
    ? undefined
    : { schema: "shop", name, columns: tables[name] };

beforeAll(loadParser);

const analyse = (sql: string): StatementAccess => {
  const parsed = parseStatement(sql);
  if (parsed.kind === "unparsable") throw new Error(parsed.message);
  return analyseAccess(parsed.statement, lookup);
};

/** `alias: =equality <range &join ^order #group limited`, without what is empty. */
const shown = (sql: string): readonly string[] =>
  analyse(sql).accesses.map((access) =>
    [
      `${access.alias}:`,
      ...access.equality.map((column) => `=${column}`),
      ...access.range.map((column) => `<${column}`),
      ...access.join.map((column) => `&${column}`),
      ...access.order.map(
        ({ column, direction, nulls }) =>
          `^${column}${direction === "desc" ? "-" : ""}${nulls === (direction === "desc" ? "first" : "last") ? "" : `(nulls ${nulls})`}`,
      ),
      ...access.group.map((column) => `#${column}`),
      ...(access.limited ? ["limited"] : []),
    ].join(" "),
  );

describe("conditions on one table", () => {
  it.each<[string, string]>([
    ["status = 'new' and total > 10", "orders: =status <total"],
    ["'new' = status and 10 < total", "orders: =status <total"],
    ["status in ('a', 'b') and id = any ($1)", "orders: =status =id"],
    ["placed_at between $1 and $2", "orders: <placed_at"],
    ["note like 'abc%'", "orders: <note"],
    ["note like $1", "orders: <note"],
    ["note like '%abc'", "orders:"],
    ["note ilike 'abc%'", "orders:"],
    ["note is null and status is not null", "orders: =note"],
    ["status <> 'a' and not (id = 1) and id not in (1, 2)", "orders:"],
    ["placed_at < total", "orders:"],
    ["id = id + 1", "orders:"],
    ["id = 1 + $1", "orders: =id"],
    ["lower(status) = 'new'", "orders:"],
    ["(customer_id, status) = (1, 'a')", "orders: =customer_id =status"],
    ["(placed_at, id) < ($1, $2)", "orders: <placed_at"],
    ["(customer_id, status) in ((1, 'a'), (2, 'b'))", "orders: =customer_id =status"],
    ["status = 'a' or status = 'b'", "orders: =status"],
    ["status = 'a' or id = 1", "orders:"],
    ["id = 1 or id > 100", "orders: <id"],
    ["(status = 'a' and id = 1) or (status = 'b' and total > 3)", "orders: =status"],
    ["total = (select max(total) from orders o where o.customer_id = orders.customer_id)", "orders: &customer_id"],
    ["total = (select max(i.quantity) from items i)", "orders: =total"],
  ])("%s", (condition, expected) => {
    expect(shown(`select 1 from orders where ${condition}`)[0]).toBe(expected);
  });

  it("takes a boolean column, bare or negated, for an equality", () => {
    expect(shown("select 1 from customers where active")).toEqual(["customers: =active"]);
    expect(shown("select 1 from customers where not active")).toEqual(["customers: =active"]);
    expect(shown("select 1 from customers where active is false")).toEqual(["customers: =active"]);
  });
});

describe("several tables", () => {
  it.each<[string, readonly string[]]>([
    [
      "select * from orders o, customers c where o.customer_id = c.id and c.country = 'ch'",
      ["o: &customer_id", "c: =country &id"],
    ],
    ["select * from orders join items on order_id = id", ["orders: &id", "items: &order_id"]],
    ["select * from orders o join orders p using (customer_id)", ["o: &customer_id", "p: &customer_id"]],
    ["select * from customers natural join orders", ["customers: &id", "orders: &id"]],
    [
      // The condition on the preserved side of an outer join filters none of its rows.
      "select * from customers c left join orders o on o.customer_id = c.id and c.active and o.status = 'a'",
      ["c: &id", "o: =status &customer_id"],
    ],
    [
      "select * from customers c where exists (select from orders o where o.customer_id = c.id and o.status = 'a')",
      ["c: &id", "o: =status &customer_id"],
    ],
    [
      "select * from customers where id in (select customer_id from orders)",
      ["customers: &id", "orders: &customer_id"],
    ],
    ["select * from customers where id not in (select customer_id from orders)", ["customers:", "orders:"]],
    [
      "select * from customers c, lateral (select * from orders o where o.customer_id = c.id order by placed_at desc limit 3) x",
      ["c: &id", "o: &customer_id ^placed_at- limited"],
    ],
    ["select * from (select id, status from orders) x where x.status = 'a'", ["orders: =status"]],
    [
      "with orders as (select * from items where product_id = 1) select * from orders where quantity > 2",
      ["items: =product_id <quantity"],
    ],
    [
      "select id from orders where status = 'a' union all select id from customers where country = 'x' order by 1",
      ["orders: =status", "customers: =country"],
    ],
    ["select * from unnest($1::int[]) as u (n) join orders on orders.id = u.n", ["orders: &id"]],
    [
      "with recursive t as (select id, customer_id from orders where id = 1 union all select o.id, o.customer_id from t join orders o on o.customer_id = t.id) select * from t",
      ["orders: =id", "o: &customer_id"],
    ],
  ])("%s", (sql, expected) => {
    expect(shown(sql)).toEqual(expected);
  });

  it("knows each table once, and what it does not know by name", () => {
    const found = analyse("select * from orders a, orders b, revenue r, other.orders where r.id = a.id");
    expect(found.tables).toEqual([{ schema: "shop", name: "orders" }]);
    expect(found.unresolved).toEqual(["revenue", "other.orders"]);
  });
});

describe("order and groups", () => {
  it.each<[string, string]>([
    ["select * from orders order by placed_at desc, id limit 10", "orders: ^placed_at- ^id limited"],
    ["select id, total as status from orders order by status", "orders: ^total"],
    ["select id, placed_at from orders order by 2 desc nulls last", "orders: ^placed_at-(nulls last)"],
    ["select * from orders order by lower(status)", "orders:"],
    ["select * from orders order by id, lower(status)", "orders:"],
    ["select status, count(*) from orders group by status order by count(*)", "orders: #status"],
    ["select customer_id as status from orders group by status", "orders: #status"],
    ["select distinct customer_id, status from orders", "orders: #customer_id #status"],
    [
      "select distinct on (customer_id) * from orders order by customer_id, placed_at desc",
      "orders: ^customer_id ^placed_at- #customer_id",
    ],
    ["select max(placed_at) from orders where status = 'a'", "orders: =status ^placed_at-(nulls last) limited"],
    ["select * from orders limit null", "orders:"],
    ["select * from orders fetch first 3 rows only", "orders: limited"],
  ])("%s", (sql, expected) => {
    expect(shown(sql)[0]).toBe(expected);
  });

  it("does not sort one table by another one's columns", () => {
    expect(shown("select * from orders o, customers c order by o.id, c.email")).toEqual(["o:", "c:"]);
  });
});

describe("columns read and written", () => {
  const referenced = (sql: string) => analyse(sql).accesses.map((access) => access.referenced?.toSorted() ?? null);
  const written = (sql: string) => analyse(sql).accesses.map((access) => access.written);

  it.each<[string, readonly (readonly string[] | null)[]]>([
    ["select id from orders where status = 'a' order by total", [["id", "status", "total"]]],
    ["select count(*) from orders", [[]]],
    ["select * from orders", [null]],
    ["select o.*, c.id from orders o, customers c", [null, ["id"]]],
    ["select o from orders o", [null]],
    [
      "select 1 from customers c where exists (select * from orders o where o.customer_id = c.id)",
      [["id"], ["customer_id"]],
    ],
    ["select id from orders for update", [null]],
    ["update orders set total = 1 where id = 2", [null]],
    ["insert into orders (id) values (1) returning id", [["id"]]],
    ["select sum(quantity) over (partition by product_id) from items", [["product_id", "quantity"]]],
  ])("%s", (sql, expected) => {
    expect(referenced(sql)).toEqual(expected);
  });

  it.each<[string, readonly (readonly string[])[]]>([
    ["update orders set total = total + 1, (status, note) = ('a', 'b') where id = 2", [["total", "status", "note"]]],
    ["insert into items select id, 1, 2 from orders", [tables["items"] ?? [], []]],
    ["delete from orders using customers c where c.id = customer_id", [[], []]],
    [
      "insert into customers (id) values (1) on conflict (id) do update set email = excluded.email",
      [tables["customers"] ?? []],
    ],
    [
      "merge into customers c using orders o on c.id = o.customer_id when matched then update set active = true",
      [["active"], []],
    ],
  ])("%s", (sql, expected) => {
    expect(written(sql)).toEqual(expected);
  });

  it("reads the conditions of writes like those of reads", () => {
    expect(
      shown("update orders o set total = 0 from customers c where c.id = o.customer_id and o.status = 'a'"),
    ).toEqual(["o: =status &customer_id", "c: &id"]);
    expect(shown("delete from orders where placed_at < now() - interval '1 day'")).toEqual(["orders: <placed_at"]);
    expect(
      shown("merge into customers c using orders o on c.id = o.customer_id when not matched then do nothing"),
    ).toEqual(["c: &id", "o: &customer_id"]);
  });
});
