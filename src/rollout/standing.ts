import type { RecordedIndex, ReplacedIndex, TableName } from "../domain/index.ts";
import { readKeyConstraint, type Session } from "../postgres/index.ts";

/** An index, anybody's, with what decides whether it can be replaced or rebuilt. */
export interface StandingIndex extends Omit<ReplacedIndex, "deploymentId"> {
  readonly tableOid: number;
  readonly table: TableName;
  readonly valid: boolean;
  /** The parent of a partitioned index. */
  readonly isParent: boolean;
  /** Partitions' indexes that belong to it. */
  readonly attachedChildren: number;
  /** The parent it belongs to. */
  readonly attachedTo: string | null;
  /** Foreign keys that reference its columns. */
  readonly referencedBy: readonly string[];
  /** Views, functions and the like that would go with its constraint. */
  readonly neededBy: readonly string[];
  readonly replicaIdentity: boolean;
  readonly clustered: boolean;
  readonly extension: string | null;
  readonly method: string;
}

// Reading the catalogue locks nothing but what pg_get_indexdef does: ACCESS SHARE on the table. Every role may.
const standingSql = `
  select i.indexrelid as oid, i.indrelid as "tableOid",
         jsonb_build_object('schema', tn.nspname, 'name', t.relname) as table,
         n.nspname as schema, c.relname as name, a.amname as method,
         pg_catalog.pg_get_indexdef(i.indexrelid) as definition,
         pg_catalog.pg_get_constraintdef(k.oid) as constraint,
         pg_catalog.obj_description(k.oid, 'pg_constraint') as "constraintComment",
         pg_catalog.obj_description(c.oid, 'pg_class') as comment,
         s.spcname as tablespace,
         coalesce(pg_catalog.pg_relation_size(c.oid), 0)::float8 as "sizeBytes",
         i.indisvalid and i.indisready and i.indislive as valid,
         c.relkind = 'I' as "isParent",
         (select count(*)::int from pg_catalog.pg_inherits h where h.inhparent = c.oid) as "attachedChildren",
         (select h.inhparent::regclass::text from pg_catalog.pg_inherits h where h.inhrelid = c.oid) as "attachedTo",
         array(select f.conname::text || ' of ' || f.conrelid::regclass::text
                 from pg_catalog.pg_constraint f where f.conindid = c.oid and f.contype = 'f' order by 1) as "referencedBy",
         array(select distinct pg_catalog.pg_describe_object(d.classid, d.objid, 0)
                 from pg_catalog.pg_depend d
                where d.deptype = 'n' and d.classid <> 'pg_catalog.pg_constraint'::regclass
                  and (d.refclassid, d.refobjid) in
                      (('pg_catalog.pg_class'::regclass, c.oid), ('pg_catalog.pg_constraint'::regclass, k.oid))) as "neededBy",
         i.indisreplident as "replicaIdentity", i.indisclustered as clustered,
         (select e.extname from pg_catalog.pg_depend d join pg_catalog.pg_extension e on e.oid = d.refobjid
           where d.classid = 'pg_catalog.pg_class'::regclass and d.objid in (c.oid, t.oid) and d.deptype = 'e' limit 1) as extension
    from pg_catalog.pg_index i
    join pg_catalog.pg_class c on c.oid = i.indexrelid
    join pg_catalog.pg_am a on a.oid = c.relam
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    join pg_catalog.pg_class t on t.oid = i.indrelid
    join pg_catalog.pg_namespace tn on tn.oid = t.relnamespace
    left join pg_catalog.pg_constraint k on k.conindid = i.indexrelid and k.contype in ('p', 'u', 'x')
    left join pg_catalog.pg_tablespace s on s.oid = c.reltablespace
   where i.indexrelid = $1`;

/** The index of this OID; null when there is none. */
export const readStanding = async (session: Session, oid: number): Promise<StandingIndex | null> =>
  (await session.query<StandingIndex>(standingSql, [oid]))[0] ?? null;

/** Indexes of this name (`name` or `schema.name`, unquoted), in any schema of the application's. */
export const findStanding = async (session: Session, name: string): Promise<readonly StandingIndex[]> => {
  const rows = await session.query<{ oid: number }>(
    `select c.oid from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      where c.relkind in ('i', 'I') and $1::text in (c.relname::text, n.nspname || '.' || c.relname)
        and n.nspname not in ('pg_catalog', 'information_schema', 'indexpilot') and n.nspname !~ '^pg_(toast|temp)'
      order by n.nspname`,
    [name],
  );
  const found = await Promise.all(rows.map(({ oid }) => readStanding(session, oid)));
  return found.filter((one) => one !== null);
};

/** How many rows a table has, as last counted; null when it is gone or was never counted. */
export const readRows = async (session: Session, tableOid: number): Promise<number | null> => {
  const [row] = await session.query<{ rows: number }>(
    "select reltuples::float8 as rows from pg_catalog.pg_class where oid = $1 and reltuples >= 0",
    [tableOid],
  );
  return row?.rows ?? null;
};

/** Why an index cannot be replaced or rebuilt, and what can be done instead. */
export interface Impossible {
  readonly code:
    | "exclusion_constraint"
    | "referenced_key"
    | "attached_index"
    | "partitioned_parent"
    | "replica_identity"
    | "needed_by_others"
    | "clustered"
    | "extension_owned"
    | "index_invalid"
    | "on_trial";
  readonly reason: string;
  /** The way that remains. */
  readonly remedy: string;
}

const reindexRemains = ({ name }: StandingIndex): string =>
  `\`indexpilot reindex ${name}\` rebuilds it as it is; for another definition`;

const exclusion = (constraint: string | null): boolean => constraint !== null && readKeyConstraint(constraint) === null;

/** Whether an index may be replaced by one that is built beside it. Pure; null: yes. */
export const objectionToReplace = (standing: StandingIndex, wanted: RecordedIndex): Impossible | null => {
  const { name } = standing;
  if (standing.extension !== null)
    return {
      code: "extension_owned",
      reason: `${name} belongs to extension ${standing.extension}`,
      remedy: "the extension's own commands may change it",
    };
  if (exclusion(standing.constraint) || exclusion(wanted.constraint))
    return {
      code: "exclusion_constraint",
      reason: "PostgreSQL cannot make an exclusion constraint of an index that was built beside it",
      remedy: `drop and add the constraint by hand, in a window in which the table's writes may stand still`,
    };
  if (standing.attachedTo !== null)
    return {
      code: "attached_index",
      reason: `${name} is attached to the partitioned index ${standing.attachedTo}, and can be neither detached nor dropped`,
      remedy: `${reindexRemains(standing)} make the partitioned index under another name, partition by partition, and drop the old one by hand in a window`,
    };
  if (standing.attachedChildren > 0)
    return {
      code: "attached_index",
      reason: `indexes of ${String(standing.attachedChildren)} partitions are attached to ${name}, and cannot be detached`,
      remedy:
        "make the partitioned index under another name, partition by partition, and drop the old one by hand in a window: that locks the table and every partition",
    };
  if (standing.referencedBy.length > 0)
    return {
      code: "referenced_key",
      reason: `foreign keys reference ${name}, and would have to be dropped with it: ${standing.referencedBy.join(", ")}`,
      remedy: `${reindexRemains(standing)} drop the foreign keys by hand, and add them again afterwards (not valid, then validate)`,
    };
  if (standing.replicaIdentity)
    return {
      code: "replica_identity",
      reason: `${name} is the table's replica identity`,
      remedy: `${reindexRemains(standing)} give the table another replica identity first`,
    };
  if (standing.neededBy.length > 0)
    return {
      code: "needed_by_others",
      reason: `${standing.neededBy.join(", ")} would have to be dropped with ${name}`,
      remedy: `${reindexRemains(standing)} drop what needs it by hand, and make it again afterwards`,
    };
  if (standing.clustered)
    return {
      code: "clustered",
      reason: `the table is clustered on ${name}`,
      remedy: `${reindexRemains(standing)} \`alter table … set without cluster\` first`,
    };
  return standing.valid || standing.isParent ? null : invalid(standing);
};

const invalid = ({ name }: StandingIndex): Impossible => ({
  code: "index_invalid",
  reason: `${name} is invalid: it is being built, or is what a failed build has left`,
  remedy: "wait for the build, or drop what is left of it by hand, and build it anew",
});

/** Whether an index may be rebuilt as it is. Pure; null: yes. */
export const objectionToReindex = (standing: StandingIndex): Impossible | null => {
  const { name } = standing;
  if (exclusion(standing.constraint))
    return {
      code: "exclusion_constraint",
      reason: `${name} belongs to an exclusion constraint, which PostgreSQL cannot rebuild concurrently`,
      remedy: "`reindex index` by hand, in a window in which the table's writes may stand still",
    };
  if (standing.isParent)
    return {
      code: "partitioned_parent",
      reason: `${name} is the parent of a partitioned index, and has no rows of its own`,
      remedy: "reindex the partitions' indexes, one by one",
    };
  return standing.valid ? null : invalid(standing);
};
