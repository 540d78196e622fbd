import { readFileSync } from "node:fs";
import { type EmbeddedServer, startEmbedded } from "../../src/embedded/index.ts";
import { openSession, resolveConnection, type Session } from "../../src/postgres/index.ts";

const schema = readFileSync(new URL("fixture.sql", import.meta.url), "utf8");

export interface Shop {
  readonly server: EmbeddedServer;
  /** Superuser, unlimited time. */
  readonly owner: Session;
  /** pg_monitor and pg_read_all_data, nothing else. */
  readonly observer: Session;
  stop(): Promise<void>;
}

/** A real server with real rows, analysed; parallel plans are on. */
export const openShop = async (major: number): Promise<Shop> => {
  const server = await startEmbedded({
    major,
    settings: { autovacuum: "off", jit: "off", work_mem: "1MB", random_page_cost: "2" },
  });
  const owner = await openSession(resolveConnection(server.url(), {}), "build");
  await owner.script(schema);
  await owner.script("vacuum public.customers");
  await owner.script("analyze");
  await owner.script("create role observer login; grant pg_monitor, pg_read_all_data to observer");
  const observer = await openSession(resolveConnection(server.url("postgres", "observer"), {}), "observe");
  return {
    server,
    owner,
    observer,
    stop: async () => {
      await Promise.all([owner.close(), observer.close()]);
      await server.stop();
    },
  };
};

/** Queries over all of it; every one plans on target and shadow. */
export const queries: readonly string[] = [
  "select * from customers where id = 77",
  "select * from customers where (id % 50)::text = '7'",
  "select * from customers where email = 'user9@example.org'",
  "select * from customers where country = 'de' and born = date '1961-03-07'",
  "select count(*) from customers where score is null",
  "select id from customers where score between 100 and 120 order by score limit 5",
  "select * from customers where tags @> array['a3']",
  "select * from customers where 'b4' = any (tags)",
  "select country, born, count(*) from customers group by country, born",
  "select * from customers where email like 'user12%'",
  "select * from \"Orders\" where customer = 91 and status <> 'shipped'",
  "select * from \"Orders\" where status = 'it''s \"back\"'",
  'select * from "Orders" order by placed desc limit 10',
  "select * from \"Orders\" where placed > '2024-07-01' and placed < '2024-07-02'",
  'select o."Id", c.email from "Orders" o join customers c on c.id = o.customer where c.country = \'jp\'',
  'select c.country, sum(o.total) from "Orders" o join customers c on c.id = o.customer group by c.country',
  'select * from "Orders" where quantity = 15 and total > 700',
  "select * from \"Orders\" where token = 'c4ca4238-a0b9-2382-0dcc-509a6f75849b'",
  'select w.*, o.total from "we""ird; drop table x" w join "Orders" o on o."Id" = w.order_id where w."we""ird; col" = 5',
  'select "select", count(*) from "we""ird; drop table x" group by 1',
  "select * from events where at = '2024-05-05'",
  "select * from events where at between '2024-12-20' and '2025-01-10' and kind = 2",
  "select * from events where customer = 12345",
  "select kind, count(*) from events group by kind",
  "select * from events e join customers c on c.id = e.customer where e.at = '2025-03-03'",
  "select * from log where id = 7000",
  "select * from log where id < 100",
  "select * from log_new where upper(level) = 'L2'",
  "select * from totals where orders > 7",
  "select country, count(*) from open_by_country group by country",
  "select * from located where id = 3",
  'select c.id, c.email, count(*) from customers c join "Orders" o on o.customer = c.id group by c.id',
  "update customers set score = 1 where id = 5",
  'delete from "Orders" where "Id" = 17',
  "insert into log (id, level) values (5, 'x')",
];
