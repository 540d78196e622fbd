import { type Session, SqlState, sqlStateOf } from "../postgres/index.ts";
import type { SizedColumn } from "../sizes/index.ts";

/** A column that an index stores. */
export interface StoredColumn extends SizedColumn {
  readonly name: string;
  /** The longest and the mean length of the values that ANALYZE kept, bytes; null where it kept none. */
  readonly longest: number | null;
  readonly meanLength: number | null;
}

/** What the catalogue and the counters say of one index with a file of its own. */
export interface IndexFacts {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly tableOid: number;
  readonly table: string;
  readonly method: string;
  /** `pg_relation_filenode`: another one after every rewrite. */
  readonly fileNode: number;
  /** Null where the file was locked against reading its length. */
  readonly sizeBytes: number | null;
  /** `pg_class.reltuples` of the index; −1 never counted. */
  readonly entries: number;
  readonly unique: boolean;
  readonly valid: boolean;
  readonly partial: boolean;
  readonly expression: boolean;
  readonly keyCount: number;
  /** Keys, then INCLUDE columns; empty where one is an expression. */
  readonly stored: readonly StoredColumn[];
  /** Whether equal keys share an entry: every operator class says that equal values have equal bytes, and nobody switched it off. */
  readonly deduplicates: boolean;
  /** Whether an operator class stores something else than the column's value. */
  readonly storesOtherwise: boolean;
  /** Per cent. */
  readonly fillfactor: number;
  /** Distinct combinations of the key columns, where extended statistics say. */
  readonly combinations: number | null;
  readonly scans: number;
  readonly tableFacts: TableFacts;
}

/** What the counters say of an index's table. */
export interface TableFacts {
  /** `pg_class.reltuples`; −1 never analysed. */
  readonly tuples: number;
  readonly pages: number;
  /** `n_live_tup`: what the last ANALYZE or VACUUM counted, with what was inserted and deleted since. */
  readonly liveTuples: number;
  readonly modificationsSinceAnalyze: number;
  /** Null where the counters know of none: never, or they were lost. */
  readonly analyzedAt: Date | null;
  readonly inserts: number;
  readonly updates: number;
  readonly hotUpdates: number;
  readonly deletes: number;
  /** Rows that ANALYZE looks at: 300 × the statistics target. */
  readonly sampleRows: number;
}

interface IndexRow {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly table_oid: number;
  readonly table: string;
  readonly method: string;
  readonly file_node: number;
  readonly entries: number;
  readonly options: readonly string[];
  readonly unique: boolean;
  readonly valid: boolean;
  readonly partial: boolean;
  readonly expression: boolean;
  readonly key_count: number;
  readonly columns: readonly number[];
  readonly equal_image: boolean | null;
  readonly stores_otherwise: boolean;
  readonly scans: string;
  readonly table_tuples: number;
  readonly table_pages: number;
  readonly live_tuples: string;
  readonly modifications: string;
  readonly analyzed_at: Date | null;
  readonly inserts: string;
  readonly updates: string;
  readonly hot_updates: string;
  readonly deletes: string;
  readonly sample_rows: number;
}

const isApplications = `n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'indexpilot') and c.relpersistence <> 't'`;

// Every index with a file, whoever made it. Support function 4 of a B-tree operator class says whether equal values have equal bytes (nbtree.h,
// BTEQUALIMAGE_PROC); text's depends on the collation. Locks nothing; every role may ask.
const indexStatement = `
select i.oid, n.nspname as schema, i.relname as name, c.oid as table_oid, c.relname as "table", m.amname as method,
       coalesce(pg_relation_filenode(i.oid), 0)::bigint::float8 as file_node, i.reltuples as entries, coalesce(i.reloptions, '{}') as options,
       x.indisunique as "unique", x.indisvalid as valid, x.indpred is not null as partial, x.indexprs is not null as expression,
       x.indnkeyatts::int as key_count, x.indkey::int2[]::int[] as columns, k.equal_image, k.stores_otherwise,
       coalesce(pg_stat_get_numscans(i.oid), 0)::text as scans,
       c.reltuples as table_tuples, c.relpages as table_pages, coalesce(s.n_live_tup, 0)::text as live_tuples, coalesce(s.n_mod_since_analyze, 0)::text as modifications,
       greatest(s.last_analyze, s.last_autoanalyze) as analyzed_at,
       coalesce(s.n_tup_ins, 0)::text as inserts, coalesce(s.n_tup_upd, 0)::text as updates, coalesce(s.n_tup_hot_upd, 0)::text as hot_updates,
       coalesce(s.n_tup_del, 0)::text as deletes, 300 * greatest(current_setting('default_statistics_target')::int, k.statistics_target) as sample_rows
  from pg_index x
  join pg_class i on i.oid = x.indexrelid and i.relkind = 'i'
  join pg_class c on c.oid = x.indrelid
  join pg_namespace n on n.oid = c.relnamespace
  join pg_am m on m.oid = i.relam
  left join pg_stat_all_tables s on s.relid = c.oid
  cross join lateral (
    select bool_and(case p.amproc::oid when 'pg_catalog.btequalimage'::regproc::oid then true
                                       when 'pg_catalog.btvarstrequalimage'::regproc::oid then coalesce(l.collisdeterministic, true)
                                       else false end) as equal_image,
           bool_or(o.opckeytype not in (0, o.opcintype)) as stores_otherwise,
           coalesce(max(a.attstattarget), -1)::int as statistics_target
      from generate_series(0, x.indnkeyatts - 1) g
      join pg_opclass o on o.oid = x.indclass[g]
      left join pg_attribute a on a.attrelid = x.indrelid and a.attnum = x.indkey[g] and a.attnum > 0
      left join pg_amproc p on p.amprocfamily = o.opcfamily and p.amproclefttype = o.opcintype and p.amprocrighttype = o.opcintype
                           and p.amprocnum = 4 and m.amname = 'btree'
      left join pg_collation l on l.oid = x.indcollation[g]
  ) k
 where c.relkind in ('r', 'm') and ${isApplications}
 order by i.oid`;

interface ColumnRow {
  readonly table_oid: number;
  readonly attnum: number;
  readonly name: string;
  readonly base_type: string;
  readonly length: number;
  readonly null_fraction: number | null;
  readonly average_width: number | null;
  readonly distinct: number | null;
  readonly frequencies: readonly number[] | null;
  readonly longest: number | null;
  readonly mean_length: number | null;
  readonly lengths: readonly number[] | null;
}

// Only lengths of values leave the server. pg_stats shows what the role may read of the table itself.
const columnStatement = `
with recursive base (oid, base_oid) as (
  select t.oid, t.oid from pg_type t where t.typtype <> 'd'
  union all
  select t.oid, b.base_oid from base b join pg_type t on t.typbasetype = b.oid and t.typtype = 'd'
), stored (table_oid, attnum) as (
  select distinct x.indrelid, u.attnum
    from pg_index x
    join pg_class i on i.oid = x.indexrelid and i.relkind = 'i'
    join pg_am m on m.oid = i.relam and m.amname = 'btree'
   cross join lateral unnest(x.indkey::int2[]) as u (attnum)
   where x.indpred is null and x.indexprs is null
)
select w.table_oid, w.attnum::int, a.attname as name, t.typname as base_type, t.typlen::int as length,
       st.null_frac as null_fraction, st.avg_width as average_width, st.n_distinct as "distinct",
       st.most_common_freqs as frequencies, v.longest, v.mean_length, v.lengths
  from stored w
  join pg_class c on c.oid = w.table_oid and c.relkind in ('r', 'm')
  join pg_namespace n on n.oid = c.relnamespace
  join pg_attribute a on a.attrelid = w.table_oid and a.attnum = w.attnum
  join base b on b.oid = a.atttypid
  join pg_type t on t.oid = b.base_oid
  left join pg_stats st on st.schemaname = n.nspname and st.tablename = c.relname and st.attname = a.attname and not st.inherited
  left join lateral (
    select max(octet_length(one))::int as longest, avg(octet_length(one))::float8 as mean_length,
           array_agg(octet_length(one)) as lengths
      from unnest(coalesce(st.histogram_bounds, st.most_common_vals)::text::text[]) as u (one)
  ) v on t.typname in ('text', 'varchar', 'bpchar', 'citext')
 where ${isApplications}`;

interface CombinationRow {
  readonly table_oid: number;
  readonly columns: readonly number[];
  readonly distincts: string;
}

const combinationStatement = `
select s.stxrelid as table_oid, s.stxkeys::int2[]::int[] as columns, e.n_distinct::text as distincts
  from pg_statistic_ext s
  join pg_class c on c.oid = s.stxrelid
  join pg_namespace n on n.oid = c.relnamespace
  join pg_namespace sn on sn.oid = s.stxnamespace
  join pg_stats_ext e on e.statistics_schemaname = sn.nspname and e.statistics_name = s.stxname
 where e.n_distinct is not null and ${isApplications}`;

// ACCESS SHARE on each for an instant; null for an index that went meanwhile.
const sizeStatement = "select u.oid, pg_relation_size(u.oid)::text as bytes from unnest($1::oid[]) as u (oid)";

const CHUNK = 1000;

/** Lengths by OID. A locked index is left out: a part that meets a lock is asked again in halves. */
const readSizes = async (session: Session, oids: readonly number[]): Promise<ReadonlyMap<number, number>> => {
  const sizes = new Map<number, number>();
  const parts: (readonly number[])[] = [];
  for (let from = 0; from < oids.length; from += CHUNK) parts.push(oids.slice(from, from + CHUNK));
  for (let part = parts.pop(); part !== undefined; part = parts.pop()) {
    try {
      for (const row of await session.query<{ oid: number; bytes: string | null }>(sizeStatement, [part])) {
        if (row.bytes !== null) sizes.set(row.oid, Number(row.bytes));
      }
    } catch (error) {
      if (sqlStateOf(error) !== SqlState.lockNotAvailable) throw error;
      if (part.length > 1) {
        const half = Math.ceil(part.length / 2);
        parts.push(part.slice(0, half), part.slice(half));
      }
    }
  }
  return sizes;
};

const optionOf = (options: readonly string[], name: string): string | undefined =>
  options.find((one) => one.startsWith(`${name}=`))?.slice(name.length + 1);

const toColumn = (row: ColumnRow): StoredColumn => ({
  name: row.name,
  baseType: row.base_type,
  maxBytes: row.length > 0 ? row.length : null,
  statistics:
    row.null_fraction === null || row.average_width === null || row.distinct === null
      ? null
      : {
          nullFraction: row.null_fraction,
          averageWidth: row.average_width,
          distinct: row.distinct,
          mostCommonFrequencies: row.frequencies,
        },
  inheritedStatistics: null,
  // Up to 126 bytes have a length word of one byte.
  widths: row.lengths?.map((length) => length + (length <= 126 ? 1 : 4)) ?? null,
  longest: row.longest,
  meanLength: row.mean_length,
});

/** `{"1, 2": 100}` by the set of columns. */
const combinationsOf = (rows: readonly CombinationRow[]): ReadonlyMap<string, number> =>
  new Map(
    rows.flatMap(({ table_oid, distincts }) =>
      Object.entries(JSON.parse(distincts) as Record<string, number>).map(([columns, distinct]): [string, number] => [
        combinationKey(table_oid, columns.split(",").map(Number)),
        distinct,
      ]),
    ),
  );

const combinationKey = (tableOid: number, columns: readonly number[]): string =>
  `${String(tableOid)}: ${columns.toSorted((a, b) => a - b).join(" ")}`;

/**
 * All indexes with a file of their own, in the order they were made: catalogue and counters only, no index is read. Ours and everybody's.
 * Needs SELECT on the tables (pg_read_all_data) for their statistics; without it they are absent.
 */
export const readIndexFacts = async (session: Session): Promise<readonly IndexFacts[]> => {
  const rows = await session.query<IndexRow>(indexStatement);
  const columns = new Map(
    (await session.query<ColumnRow>(columnStatement)).map((row) => [
      `${String(row.table_oid)} ${String(row.attnum)}`,
      toColumn(row),
    ]),
  );
  const combinations = combinationsOf(await session.query<CombinationRow>(combinationStatement));
  const sizes = await readSizes(
    session,
    rows.map(({ oid }) => oid),
  );
  return rows.map((row): IndexFacts => {
    const stored = row.columns.flatMap((attnum) => columns.get(`${String(row.table_oid)} ${String(attnum)}`) ?? []);
    const included = row.columns.length > row.key_count;
    return {
      oid: row.oid,
      schema: row.schema,
      name: row.name,
      tableOid: row.table_oid,
      table: row.table,
      method: row.method,
      fileNode: row.file_node,
      sizeBytes: sizes.get(row.oid) ?? null,
      entries: row.entries,
      unique: row.unique,
      valid: row.valid,
      partial: row.partial,
      expression: row.expression,
      keyCount: row.key_count,
      stored: stored.length === row.columns.length ? stored : [],
      deduplicates:
        row.equal_image === true &&
        !included &&
        !row.unique &&
        !["off", "false", "no", "0"].includes(optionOf(row.options, "deduplicate_items") ?? "on"),
      storesOtherwise: row.stores_otherwise,
      fillfactor: Number(optionOf(row.options, "fillfactor") ?? 90),
      combinations: combinations.get(combinationKey(row.table_oid, row.columns.slice(0, row.key_count))) ?? null,
      scans: Number(row.scans),
      tableFacts: {
        tuples: row.table_tuples,
        pages: row.table_pages,
        liveTuples: Number(row.live_tuples),
        modificationsSinceAnalyze: Number(row.modifications),
        analyzedAt: row.analyzed_at,
        inserts: Number(row.inserts),
        updates: Number(row.updates),
        hotUpdates: Number(row.hot_updates),
        deletes: Number(row.deletes),
        sampleRows: row.sample_rows,
      },
    };
  });
};
