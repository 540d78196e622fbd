import type { Deployment, IndexDefinition, TableName } from "../domain/index.ts";
import { sameDefinition, type Session } from "../postgres/index.ts";
import { ownershipComment } from "./names.ts";
import { expectedDefinition } from "./statements.ts";

// What the rollout reads of partitioned tables. From the catalogue alone, which locks none of the partitions; every role may.

/** A partition that holds rows itself. */
export interface Leaf extends TableName {
  readonly oid: number;
  /** As last counted. */
  readonly pages: number;
}

const treeSql = `
  with recursive tree as (
    select $1::oid as oid
    union all
    select i.inhrelid from tree join pg_catalog.pg_inherits i on i.inhparent = tree.oid)`;

/** The partitions of a table at all levels that can have an index of their own: foreign tables cannot. */
export const readLeaves = (session: Session, tableOid: number): Promise<Leaf[]> =>
  session.query<Leaf>(
    `${treeSql}
     select c.oid, n.nspname as schema, c.relname as name, greatest(c.relpages, 0) as pages
       from tree join pg_catalog.pg_class c on c.oid = tree.oid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      where c.relkind = 'r' order by c.oid`,
    [tableOid],
  );

export const isPartitioned = async (session: Session, tableOid: number): Promise<boolean> =>
  (await session.query("select from pg_catalog.pg_class where oid = $1 and relkind = 'p'", [tableOid])).length > 0;

/** The index on a partitioned table itself, which its partitions' indexes are attached to. */
export interface Whole extends TableName {
  readonly oid: number;
  /** Every partition has its part. */
  readonly valid: boolean;
  readonly definition: string;
}

/** A deployment's index on the partitioned table itself: by the table's OID and the comment, which is made in the same transaction. */
export const readWhole = async (session: Session, deployment: Deployment): Promise<Whole | null> => {
  const [row] = await session.query<Whole>(
    `select c.oid, n.nspname as schema, c.relname as name, i.indisvalid as valid,
            pg_catalog.pg_get_indexdef(i.indexrelid) as definition
       from pg_catalog.pg_index i
       join pg_catalog.pg_class c on c.oid = i.indexrelid
       join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      where i.indrelid = $1 and c.relkind = 'I' and pg_catalog.obj_description(c.oid, 'pg_class') = $2`,
    [deployment.tableOid, ownershipComment(deployment.id)],
  );
  return row ?? null;
};

/** Which of these indexes exist and are valid. */
export const readUsable = async (session: Session, oids: readonly number[]): Promise<ReadonlySet<number>> => {
  const rows = await session.query<{ oid: number }>(
    `select indexrelid as oid from pg_catalog.pg_index
      where indexrelid = any ($1::oid[]) and indisvalid and indisready and indislive`,
    [oids],
  );
  return new Set(rows.map(({ oid }) => oid));
};

/**
 * An index of somebody else's on a partition that is what we would build there, and is not attached to anything. PostgreSQL would attach it in the place of
 * ours, and it is not ours to attach.
 */
export const findTwin = async (
  session: Session,
  intended: IndexDefinition,
  leaves: readonly Leaf[],
  ours: ReadonlySet<number>,
): Promise<{ readonly name: string; readonly table: string } | null> => {
  const body = (definition: string): string => definition.slice(definition.indexOf(" USING "));
  const wanted = body(await expectedDefinition(session, intended, "x"));
  const rows = await session.query<{ oid: number; name: string; table: string; definition: string }>(
    `select i.indexrelid as oid, c.relname as name, i.indrelid::regclass::text as table,
            pg_catalog.pg_get_indexdef(i.indexrelid) as definition
       from pg_catalog.pg_index i join pg_catalog.pg_class c on c.oid = i.indexrelid
      where i.indrelid = any ($1::oid[]) and not i.indisunique
        and not exists (select from pg_catalog.pg_inherits h where h.inhrelid = i.indexrelid)`,
    [leaves.map(({ oid }) => oid)],
  );
  return rows.find(({ oid, definition }) => !ours.has(oid) && sameDefinition(body(definition), wanted)) ?? null;
};
