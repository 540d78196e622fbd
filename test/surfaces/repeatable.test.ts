import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type EmbeddedServer, startEmbedded } from "../../src/embedded/index.ts";
import { openSession, resolveConnection } from "../../src/postgres/index.ts";
import { indexpilot } from "./run.ts";

describe("the same input", { timeout: 180_000 }, () => {
  let server: EmbeddedServer;
  const files = mkdtempSync(join(tmpdir(), "indexpilot-repeat-"));

  beforeAll(async () => {
    server = await startEmbedded({ major: 18, settings: { autovacuum: "off", jit: "off" } });
    const session = await openSession(resolveConnection(server.url(), {}), "build");
    await session.script(`
      create table customers (id int primary key, country int not null, name text not null);
      create table orders (id int primary key, customer_id int not null, status int not null, placed date not null, total int not null);
      create table items (order_id int not null, product int not null, amount int not null);
      insert into customers select g, g % 50, 'c' || g from generate_series(1, 5000) g;
      insert into orders select g, g % 5000 + 1, g % 7, date '2024-01-01' + g % 700, g % 900 from generate_series(1, 40000) g;
      insert into items select g % 40000 + 1, g % 3000, g % 9 from generate_series(1, 80000) g;`);
    await session.script("analyze");
    await session.close();
    const queries = [
      "select total from orders where customer_id = 17 and status = 3",
      "select id from orders where placed between '2024-03-01' and '2024-03-04' order by placed",
      "select sum(amount) from items where product = 12",
      "select o.id, i.amount from orders o join items i on i.order_id = o.id where o.customer_id = 99",
      "select c.name, count(*) from customers c join orders o on o.customer_id = c.id where c.country = 4 and o.status = 2 group by c.name",
    ];
    for (const [number, text] of queries.entries()) writeFileSync(join(files, `q${String(number)}.sql`), `${text};\n`);
  }, 180_000);
  afterAll(async () => {
    await server.stop();
    rmSync(files, { recursive: true });
  });

  const advised = (...flags: readonly string[]) =>
    indexpilot(["advise", "--url", server.url(), "--queries", join(files, "*.sql"), "--json", "--quiet", ...flags]);

  test.each([
    ["by default", []],
    ["for plain B-trees with little room", ["--kinds", "btree", "--budget", "2MB", "--seed", "7"]],
  ])("gives the same advice, byte for byte, %s", async (_, flags) => {
    const first = await advised(...flags);
    expect(first.code).toBe(0);
    const document = JSON.parse(first.out) as {
      create: { include?: readonly string[] }[];
      totals: { gap: number; bound: number; sizeBytes: number };
    };
    expect(document.create.length).toBeGreaterThan(0);
    expect(document.totals.gap).toBeLessThan(1);
    expect(document.totals.bound).toBeGreaterThan(0);
    expect((await advised(...flags)).out).toBe(first.out);
  });

  test("with another objective gives another set within the same room", async () => {
    const sizes = await Promise.all(
      ["time", "storage"].map(async (objective) => {
        const { out } = await advised("--objective", objective);
        return (JSON.parse(out) as { totals: { sizeBytes: number } }).totals.sizeBytes;
      }),
    );
    expect(sizes[1]).toBeLessThan(sizes[0] ?? 0);
  });

  test("with a time to search in ends in it, with an answer", async () => {
    const { code, out } = await advised("--time", "1s");
    expect(code).toBe(0);
    expect((JSON.parse(out) as { create: unknown[] }).create.length).toBeGreaterThan(0);
  });
});
