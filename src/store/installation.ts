import { failure } from "../errors.ts";
import type { ServerIdentity } from "../domain/index.ts";
import { readServerIdentity, type Session } from "../postgres/index.ts";
import type { Database } from "./database.ts";

export interface Installation {
  readonly id: number;
  readonly systemIdentifier: string;
  readonly databaseOid: number;
  readonly database: string;
  readonly host: string;
  readonly port: number;
}

/** What the lease says about a server. */
export type Lease =
  | { readonly kind: "ours"; readonly id: number }
  /** A database this store has not steered yet. */
  | { readonly kind: "new" }
  /** The schema was installed for another database: this is a copy of it, or the database moved. */
  | { readonly kind: "copied"; readonly recorded: Installation };

/**
 * Compares a server with the recorded installations.
 *
 * System identifier and database OID tell a dump that was restored elsewhere; a physical copy (snapshot, branch) has both, and only its address
 * tells it. On a replica the address is not compared: it is a copy by design, and cannot be written to.
 * `storeInside`: the store lives in the database it steers. Then an unknown database means that the schema came with a dump; in a control
 * database it is one more target.
 */
export const judgeLease = (recorded: readonly Installation[], server: ServerIdentity, storeInside: boolean): Lease => {
  const same = recorded.find(
    (one) => one.systemIdentifier === server.systemIdentifier && one.databaseOid === server.databaseOid,
  );
  if (same !== undefined) {
    const here = server.node === "replica" || (same.host === server.host && same.port === server.port);
    return here ? { kind: "ours", id: same.id } : { kind: "copied", recorded: same };
  }
  const [first] = recorded;
  return first === undefined || !storeInside ? { kind: "new" } : { kind: "copied", recorded: first };
};

export const readInstallations = async (db: Database): Promise<Installation[]> => {
  const rows = await db.selectFrom("installation").selectAll().orderBy("id").execute();
  return rows.map((row) => ({
    id: row.id,
    systemIdentifier: row.system_identifier,
    databaseOid: row.database_oid,
    database: row.database_name,
    host: row.host,
    port: row.port,
  }));
};

/** Whether the store's own database is the one it steers. */
export const isInside = async (session: Session, server: ServerIdentity): Promise<boolean> => {
  const home = await readServerIdentity(session);
  return home.systemIdentifier === server.systemIdentifier && home.databaseOid === server.databaseOid;
};

const columns = (server: ServerIdentity) => ({
  system_identifier: server.systemIdentifier,
  database_oid: server.databaseOid,
  database_name: server.database,
  host: server.host,
  port: server.port,
});

export const insertInstallation = async (db: Database, server: ServerIdentity): Promise<number> =>
  (await db.insertInto("installation").values(columns(server)).returning("id").executeTakeFirstOrThrow()).id;

/** A person said that this is the same database in a new place: the recorded installation is rewritten, its history stays. */
export const moveInstallation = async (db: Database, id: number, server: ServerIdentity): Promise<void> => {
  await db.updateTable("installation").set(columns(server)).where("id", "=", id).execute();
};

const place = (one: { system: string; oid: number; database: string; host: string; port: number }): string =>
  `${one.host}:${String(one.port)}/${one.database}, system ${one.system}, database OID ${String(one.oid)}`;

export const describeInstallation = (one: Installation): string =>
  place({ ...one, system: one.systemIdentifier, oid: one.databaseOid });

export const describeServer = (one: ServerIdentity): string =>
  place({ ...one, system: one.systemIdentifier, oid: one.databaseOid });

export const copied = (recorded: Installation, server: ServerIdentity): Error =>
  failure("installation_copied", { recorded: describeInstallation(recorded), found: describeServer(server) });
