import pg from "pg";
import { expect, test } from "vitest";
import { testGate } from "../../src/driver/index.ts";
import { canary, withShop } from "./shop.ts";

const shop = withShop();

const connected = async <T>(work: (client: pg.Client) => Promise<T>): Promise<T> => {
  const client = new pg.Client({ connectionString: shop().url });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
};

const meant = [
  "select * from orders where customer_id = 7",
  "select * from customers c left join orders o on o.customer_id = c.id where c.id = 7",
  "select * from orders full join customers c on c.id = customer_id where customer_id = 7",
  "select * from orders",
];

test("a gate works where only statements that state it use the index", async () => {
  expect(await connected((client) => testGate(client, canary, "orders_gated", meant))).toEqual({
    kind: "works",
    gated: 3,
    using: 2,
    skipped: ["full join"],
  });
});

test.each([
  ["nothing would use the index", canary, "", "orders_gated", meant.slice(3), "treatment_unused"],
  ["the number is another index's", { ...canary, number: 12 }, "", "orders_gated", meant, "treatment_unused"],
  [
    "everybody can use the index",
    canary,
    "",
    "orders_pkey",
    ["select * from orders where id = 7"],
    "control_uses_index",
  ],
  ["there is no such column", { ...canary, column: "gone" }, "", "orders_gated", meant, "no_table"],
  [
    "the bare name means another table",
    canary,
    "create temp table orders (id int)",
    "orders_gated",
    meant,
    "bare_name",
  ],
  [
    "the role may not read the column",
    canary,
    "begin; create role clerk; grant select (id) on orders to clerk; set local role clerk",
    "orders_gated",
    ["select id from orders"],
    "column_unreadable",
  ],
])("it fails where %s", async (_, gate, before, index, statements, code) => {
  const outcome = await connected(async (client) => {
    await client.query(before);
    return testGate(client, gate, index, statements);
  });
  expect(outcome).toMatchObject({ kind: "fails", code });
});
