import type { ExistingIndex } from "../../domain/index.ts";
import { quoteIdentifier } from "../identifier.ts";
import type { Session } from "../session.ts";
import { isExtensionMember, isUserSchema } from "./scope.ts";
import type { readColumnStatistics } from "./statistics.ts";

interface IndexRow {
  readonly table_oid: number;
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly definition: string;
  readonly method: string;
  readonly keys: (string | null)[];
  readonly options: number[];
  readonly include: string[];
  readonly plain_keys: boolean;
  readonly unique: boolean;
  readonly primary: boolean;
  readonly valid: boolean;
  readonly constraint: string | null;
  readonly constraint_definition: string | null;
  readonly exclusion: boolean;
  readonly replica_identity: boolean;
  readonly clustered: boolean;
  readonly extension_owned: boolean;
  readonly predicate: string | null;
  readonly size_bytes: string;
  readonly pages: number;
  readonly tuples: number;
  readonly scans: string;
  readonly comment: string | null;
  readonly parent_oid: number | null;
}

// indclass and indcollation are vectors from 0; generate_series counts the keys, then the included columns.
const statement = `
select x.indrelid as table_oid, i.oid, n.nspname as schema, i.relname as name, pg_get_indexdef(i.oid) as definition,
       m.amname as method, k.keys, k.options, k.include, k.plain_keys,
       x.indisunique as "unique", x.indisprimary as "primary", x.indisvalid as valid,
       con.conname as "constraint", pg_get_constraintdef(con.oid) as constraint_definition, x.indisexclusion as exclusion, x.indisreplident as replica_identity,
       x.indisclustered as clustered,
       ${isExtensionMember("pg_class", "i.oid")} or ${isExtensionMember("pg_class", "c.oid")} as extension_owned,
       pg_get_expr(x.indpred, x.indrelid) as predicate,
       coalesce(pg_relation_size(i.oid), 0)::text as size_bytes, i.relpages as pages, i.reltuples as tuples,
       coalesce(pg_stat_get_numscans(i.oid), 0)::text as scans, obj_description(i.oid, 'pg_class') as comment,
       h.inhparent as parent_oid
  from pg_index x
  join pg_class i on i.oid = x.indexrelid
  join pg_class c on c.oid = x.indrelid
  join pg_namespace n on n.oid = c.relnamespace
  join pg_am m on m.oid = i.relam
  left join pg_constraint con on con.conindid = i.oid and con.contype in ('p', 'u', 'x')
  left join pg_inherits h on h.inhrelid = i.oid
  cross join lateral (
    select array_agg(a.attname::text order by g) filter (where g < x.indnkeyatts) as keys,
           array_agg(x.indoption[g]::int order by g) filter (where g < x.indnkeyatts) as options,
           coalesce(array_agg(a.attname::text order by g) filter (where g >= x.indnkeyatts), '{}') as include,
           bool_and(a.attnum is not null and o.opcdefault and x.indcollation[g] = a.attcollation)
             filter (where g < x.indnkeyatts) as plain_keys
      from generate_series(0, x.indnatts - 1) g
      left join pg_attribute a on a.attrelid = x.indrelid and a.attnum = x.indkey[g] and a.attnum > 0
      left join pg_opclass o on g < x.indnkeyatts and o.oid = x.indclass[g]
  ) k
 where c.relkind in ('r', 'p', 'm') and c.relpersistence <> 't' and ${isUserSchema("n.nspname")}
 order by x.indrelid, i.oid`;

/** Bits of `pg_index.indoption` (INDOPTION_DESC, INDOPTION_NULLS_FIRST). */
const DESCENDING = 1;
const NULLS_FIRST = 2;

const toIndex = (row: IndexRow): ExistingIndex => ({
  oid: row.oid,
  schema: row.schema,
  name: row.name,
  definition: row.definition,
  method: row.method,
  keys: row.keys,
  directions: row.options.map((option) => ((option & DESCENDING) === 0 ? "asc" : "desc")),
  nulls: row.options.map((option) => ((option & NULLS_FIRST) === 0 ? "last" : "first")),
  include: row.include,
  plainKeys: row.plain_keys,
  unique: row.unique,
  primary: row.primary,
  valid: row.valid,
  constraint: row.constraint,
  constraintDefinition: row.constraint_definition,
  exclusion: row.exclusion,
  replicaIdentity: row.replica_identity,
  clustered: row.clustered,
  extensionOwned: row.extension_owned,
  predicate: row.predicate,
  sizeBytes: Number(row.size_bytes),
  pages: row.pages,
  tuples: row.tuples,
  scans: Number(row.scans),
  comment: row.comment,
  parentOid: row.parent_oid,
});

// Reads one page of each index. Needs pg_stat_scan_tables, which pg_monitor includes.
const pendingStatement = (schema: string): string => `
select x.indexrelid as oid, g.pending_pages as pages
  from pg_index x
  join pg_class i on i.oid = x.indexrelid
  join pg_class c on c.oid = x.indrelid
  join pg_namespace n on n.oid = c.relnamespace
  join pg_am m on m.oid = i.relam and m.amname = 'gin'
  cross join lateral ${quoteIdentifier(schema)}.pgstatginindex(x.indexrelid) g
 where i.relkind = 'i' and i.relpersistence <> 't' and x.indisvalid and ${isUserSchema("n.nspname")}`;

const readPendingPages = async (session: Session): Promise<ReadonlyMap<number, number>> => {
  const [found] = await session.query<{ schema: string }>(
    `select n.nspname as schema
       from pg_extension e
       join pg_depend d on d.refclassid = 'pg_extension'::regclass and d.refobjid = e.oid and d.classid = 'pg_proc'::regclass
       join pg_proc p on p.oid = d.objid and p.proname = 'pgstatginindex'
       join pg_namespace n on n.oid = p.pronamespace
      where e.extname = 'pgstattuple' and has_function_privilege(p.oid, 'execute')
        and has_schema_privilege(n.oid, 'usage')`,
  );
  if (found === undefined) return new Map();
  const rows = await session.query<{ oid: number; pages: number }>(pendingStatement(found.schema));
  return new Map(rows.map(({ oid, pages }) => [oid, pages]));
};

/**
 * Indexes by their table's OID, in the order they were made. Takes ACCESS SHARE on each for an instant (its size); every role may ask.
 */
export const readIndexes = async (
  session: Session,
  statistics: Awaited<ReturnType<typeof readColumnStatistics>>,
): Promise<ReadonlyMap<number, readonly ExistingIndex[]>> => {
  const tables = new Map<number, ExistingIndex[]>();
  const pending = await readPendingPages(session);
  for (const row of await session.query<IndexRow>(statement)) {
    const indexes = tables.get(row.table_oid) ?? [];
    const index = toIndex(row);
    const expressions = statistics
      .columnsOf(index)
      .flatMap((column) => statistics.of(index, column).map((one) => ({ column, statistics: one })));
    const pendingPages = pending.get(index.oid);
    indexes.push({
      ...index,
      ...(expressions.length > 0 ? { expressionStatistics: expressions } : {}),
      ...(pendingPages === undefined ? {} : { pendingPages }),
    });
    tables.set(row.table_oid, indexes);
  }
  return tables;
};
