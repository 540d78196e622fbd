import type { Catalog, Table } from "../../domain/index.ts";
import type { Session } from "../session.ts";
import { readExtensions } from "./database.ts";

// A hypertable's chunks have it as their parent; compressed chunks belong to a hypertable of their own. Both catalogues are open to all.
const managedTables = {
  timescaledb: `
    select c.oid
      from _timescaledb_catalog.hypertable h
      join pg_namespace n on n.nspname = h.schema_name
      join pg_class c on c.relnamespace = n.oid and c.relname = h.table_name
     union
    select i.inhrelid
      from _timescaledb_catalog.hypertable h
      join pg_namespace n on n.nspname = h.schema_name
      join pg_class c on c.relnamespace = n.oid and c.relname = h.table_name
      join pg_inherits i on i.inhparent = c.oid`,
  citus: "select logicalrelid::oid as oid from pg_dist_partition",
} as const;

export interface Managed {
  readonly extensions: NonNullable<Catalog["managedBy"]>;
  /** By table OID. */
  readonly tables: ReadonlyMap<number, NonNullable<Table["managedBy"]>>;
}

/** Which extensions take tables over, and which tables. */
export const readManaged = async (session: Session, extensions: Catalog["extensions"]): Promise<Managed> => {
  const present = (["timescaledb", "citus"] as const).filter((name) => extensions.some((one) => one.name === name));
  const tables = new Map<number, (typeof present)[number]>();
  for (const name of present) {
    for (const { oid } of await session.query<{ oid: number }>(managedTables[name])) tables.set(oid, name);
  }
  return { extensions: present, tables };
};

/** Which extension takes this table over, if one does. */
export const readManagedBy = async (
  session: Session,
  tableOid: number,
): Promise<NonNullable<Table["managedBy"]> | null> => {
  const { tables } = await readManaged(session, await readExtensions(session));
  return tables.get(tableOid) ?? null;
};
