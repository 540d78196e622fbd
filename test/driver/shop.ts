import { afterAll, beforeAll } from "vitest";
import { type EmbeddedServer, startEmbedded } from "../../src/embedded/index.ts";
import type { GateExperiment, Measurement } from "../../src/driver/index.ts";
import { openSession, resolveConnection, type Session } from "../../src/postgres/index.ts";
import { gatePredicate } from "../../src/sql/index.ts";

/** Every unit is drawn for the index. */
export const canary: GateExperiment = {
  id: "canary",
  table: { schema: "public", name: "orders" },
  column: "customer_id",
  number: 4711,
  bareName: true,
  share: 1,
  unit: "transaction",
};

const sql = `
  create table orders (id int primary key, customer_id int not null, status text not null, total numeric(10,2) not null, created_at date not null);
  insert into orders select i, i % 500, (array['new','paid','sent'])[1 + i % 3], i % 97, date '2020-01-01' + i % 1000 from generate_series(1, 5000) i;
  create table customers (id int primary key, name text not null);
  insert into customers select i, 'customer ' || i from generate_series(0, 520) i;
  create index orders_gated on orders (customer_id) where ${gatePredicate(canary)};
  analyze;
`;

/** A measurement without what no two runs share. */
export const withoutTime = ({ experiment, arm, gated, rows, error, fingerprint }: Measurement): object => ({
  experiment,
  arm,
  gated,
  rows,
  error,
  read: fingerprint !== null,
});

export interface Shop {
  readonly url: string;
  readonly admin: Session;
  /** How often the index on trial was scanned; waits until every other session has ended, for each counts its scans when it ends. */
  scans(): Promise<number>;
}

/** A server with orders of customers, and an index on \`customer_id\` that only gated statements may use. */
export const withShop = (): (() => Shop) => {
  let server: EmbeddedServer | undefined;
  let shop: Shop | undefined;
  beforeAll(async () => {
    server = await startEmbedded({ major: 18, settings: { max_connections: "30" } });
    const url = server.url("postgres");
    const admin = await openSession(resolveConnection(url, {}), "store");
    await admin.script(sql);
    const scans = async (): Promise<number> => {
      await admin.script(`do $$ begin
        while exists (select from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid())
        loop perform pg_sleep(0.01); perform pg_stat_clear_snapshot(); end loop; end $$`);
      const [row] = await admin.query<{ scans: string }>(
        "select idx_scan::text as scans from pg_stat_user_indexes where indexrelname = 'orders_gated'",
      );
      return Number(row?.scans);
    };
    shop = { url, admin, scans };
  });
  afterAll(async () => {
    await shop?.admin.close();
    await server?.stop();
  });
  return () => {
    if (shop === undefined) throw new Error("the shop is not open yet");
    return shop;
  };
};
