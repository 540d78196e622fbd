import type { ForeignKey, Table, TableName } from "../../domain/index.ts";
import type { Session } from "../session.ts";
import { isUserSchema } from "./scope.ts";

interface ForeignKeyRow {
  readonly table_oid: number;
  readonly name: string;
  readonly columns: string[];
  readonly referenced_schema: string;
  readonly referenced_table: string;
  readonly referenced_columns: string[];
}

// A partition's copy of its parent's constraint has a conparentid: PostgreSQL makes and removes it with the parent's.
const foreignKeyStatement = `
select c.oid as table_oid, con.conname as name, k.columns, rn.nspname as referenced_schema, r.relname as referenced_table,
       k.referenced_columns
  from pg_constraint con
  join pg_class c on c.oid = con.conrelid
  join pg_namespace n on n.oid = c.relnamespace
  join pg_class r on r.oid = con.confrelid
  join pg_namespace rn on rn.oid = r.relnamespace
  cross join lateral (
    select array_agg(a.attname::text order by u.position) as columns,
           array_agg(ra.attname::text order by u.position) as referenced_columns
      from unnest(con.conkey, con.confkey) with ordinality as u (attnum, referenced_attnum, position)
      join pg_attribute a on a.attrelid = con.conrelid and a.attnum = u.attnum
      join pg_attribute ra on ra.attrelid = con.confrelid and ra.attnum = u.referenced_attnum
  ) k
 where con.contype = 'f' and con.conparentid = 0 and c.relpersistence <> 't' and ${isUserSchema("n.nspname")}
 order by con.oid`;

/** Foreign keys by the referencing table's OID; a partition has only those of its own. */
export const readForeignKeys = async (session: Session): Promise<ReadonlyMap<number, readonly ForeignKey[]>> => {
  const tables = new Map<number, ForeignKey[]>();
  for (const row of await session.query<ForeignKeyRow>(foreignKeyStatement)) {
    const keys = tables.get(row.table_oid) ?? [];
    keys.push({
      name: row.name,
      columns: row.columns,
      referenced: { schema: row.referenced_schema, name: row.referenced_table },
      referencedColumns: row.referenced_columns,
    });
    tables.set(row.table_oid, keys);
  }
  return tables;
};

const checkStatement = `
select c.oid as table_oid, con.conname as name, pg_get_constraintdef(con.oid) as definition
  from pg_constraint con
  join pg_class c on c.oid = con.conrelid
  join pg_namespace n on n.oid = c.relnamespace
 where con.contype = 'c' and c.relpersistence <> 't' and ${isUserSchema("n.nspname")}
 order by con.oid`;

/** CHECK constraints by their table's OID. */
export const readChecks = async (session: Session): Promise<ReadonlyMap<number, NonNullable<Table["checks"]>>> => {
  const tables = new Map<number, { name: string; definition: string }[]>();
  for (const row of await session.query<{ table_oid: number; name: string; definition: string }>(checkStatement)) {
    const checks = tables.get(row.table_oid) ?? [];
    checks.push({ name: row.name, definition: row.definition });
    tables.set(row.table_oid, checks);
  }
  return tables;
};

const parentStatement = `
select h.inhrelid as table_oid, n.nspname as schema, p.relname as name
  from pg_inherits h
  join pg_class p on p.oid = h.inhparent
  join pg_namespace n on n.oid = p.relnamespace
 where p.relkind in ('r', 'p') and ${isUserSchema("n.nspname")}
 order by h.inhrelid, h.inhseqno`;

/** Parents by the child's OID: one for a partition, any number for an inheriting table. */
export const readParents = async (session: Session): Promise<ReadonlyMap<number, readonly TableName[]>> => {
  const children = new Map<number, TableName[]>();
  for (const row of await session.query<{ table_oid: number; schema: string; name: string }>(parentStatement)) {
    children.set(row.table_oid, [...(children.get(row.table_oid) ?? []), { schema: row.schema, name: row.name }]);
  }
  return children;
};
