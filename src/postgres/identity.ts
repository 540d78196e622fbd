import type { ServerIdentity } from "../domain/index.ts";
import type { Session } from "./session.ts";

/** Which server, database and node a session speaks with. Locks nothing; every role may ask. */
export const readServerIdentity = async (session: Session): Promise<ServerIdentity> => {
  const [row] = await session.query<{ system: string; database: string; oid: number; replica: boolean }>(
    `select c.system_identifier::text as system, d.datname as database, d.oid, pg_is_in_recovery() as replica
       from pg_control_system() c, pg_database d
      where d.datname = current_database()`,
  );
  if (row === undefined) throw new Error("the server did not tell its identity");
  return {
    systemIdentifier: row.system,
    host: session.target.host,
    port: session.target.port,
    database: row.database,
    databaseOid: row.oid,
    versionNum: session.versionNum,
    node: row.replica ? "replica" : "primary",
  };
};
