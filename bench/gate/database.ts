import pg from "pg";
import type { EmbeddedServer } from "../../src/embedded/index.ts";
import { createGatedIndex, createGateStatistics, createOrdinaryIndex, schema } from "./schema.ts";

const connect = async (url: string): Promise<pg.Client> => {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  return client;
};

/** A new database with the index on trial (`gated`) or a plain one on the same column, and a client in it. Equal numbers of rows give equal statistics. */
export const openDatabase = async (
  server: EmbeddedServer,
  name: string,
  kind: "gated" | "ordinary",
  rows: number,
): Promise<pg.Client> => {
  const admin = await connect(server.url("postgres"));
  await admin.query(`create database ${name}`);
  await admin.end();
  const client = await connect(server.url(name));
  await client.query(schema(rows));
  await client.query(kind === "gated" ? `${createGatedIndex}; ${createGateStatistics}` : createOrdinaryIndex);
  await client.query("vacuum analyze");
  return client;
};
