import type { Column, ColumnStatistics } from "../../domain/index.ts";
import type { Session } from "../session.ts";
import { maximumBytes } from "./column-bytes.ts";
import { isUserSchema } from "./scope.ts";
import type { StatisticsOf } from "./statistics.ts";

interface ColumnRow {
  readonly table_oid: number;
  readonly schema: string;
  readonly table: string;
  readonly attnum: number;
  readonly name: string;
  readonly type: string;
  readonly type_oid: number;
  readonly base_type: string;
  readonly base_length: number;
  readonly base_modifier: number;
  readonly not_null: boolean;
  readonly ordered: boolean;
  readonly collation: string | null;
  readonly generated: "" | "s" | "v";
  readonly expression: string | null;
  readonly identity: boolean;
  readonly statistics_target: number | null;
  readonly bytes_per_character: number;
}

// Default B-tree operator classes by GetDefaultOpClass's rules: of the type itself, of one it is binary-coercible to, or of its kind.
// An array is ordered only if its elements are.
const statement = `
with recursive base (oid, base_oid, modifier) as (
  select t.oid, t.oid, -1 from pg_type t where t.typtype <> 'd'
  union all
  select t.oid, b.base_oid, case when t.typtypmod >= 0 then t.typtypmod else b.modifier end
    from base b join pg_type t on t.typbasetype = b.oid and t.typtype = 'd'
), ordered (oid) as (
  select k.opcintype from pg_opclass k join pg_am m on m.oid = k.opcmethod where m.amname = 'btree' and k.opcdefault
), sortable (oid) as (
  select t.oid
    from pg_type t
   where exists (select from ordered o
                  where o.oid = t.oid
                     or o.oid = case t.typtype when 'e' then 'anyenum'::regtype when 'r' then 'anyrange'::regtype
                                               when 'm' then 'anymultirange'::regtype end
                     or exists (select from pg_cast c
                                 where c.castsource = t.oid and c.casttarget = o.oid and c.castmethod = 'b' and c.castcontext = 'i'))
)
select c.oid as table_oid, n.nspname as schema, c.relname as "table", a.attnum, a.attname as name,
       format_type(a.atttypid, a.atttypmod) as type, a.atttypid as type_oid,
       t.typname as base_type, t.typlen as base_length,
       case when b.modifier >= 0 then b.modifier else a.atttypmod end as base_modifier,
       a.attnotnull as not_null,
       coalesce(t.oid in (select oid from sortable)
             or (t.typcategory = 'A' and e.base_oid in (select oid from sortable)), false) as ordered,
       case when a.attcollation = 0 then null
            when l.collname = 'default' and ln.nspname = 'pg_catalog' then 'default'
            else ln.nspname || '.' || l.collname end as collation,
       a.attgenerated as generated, pg_get_expr(d.adbin, d.adrelid) as expression, a.attidentity <> '' as identity,
       nullif(a.attstattarget, -1) as statistics_target,
       pg_encoding_max_length((select encoding from pg_database where datname = current_database())) as bytes_per_character
  from pg_attribute a
  join pg_class c on c.oid = a.attrelid
  join pg_namespace n on n.oid = c.relnamespace
  join base b on b.oid = a.atttypid
  join pg_type t on t.oid = b.base_oid
  left join base e on e.oid = t.typelem
  left join pg_collation l on l.oid = a.attcollation
  left join pg_namespace ln on ln.oid = l.collnamespace
  left join pg_attrdef d on a.attgenerated <> '' and d.adrelid = a.attrelid and d.adnum = a.attnum
 where a.attnum > 0 and not a.attisdropped
   and c.relkind in ('r', 'p', 'm') and c.relpersistence <> 't' and ${isUserSchema("n.nspname")}
 order by c.oid, a.attnum`;

const generatedOf = (row: ColumnRow): Column["generated"] =>
  row.generated === "" || row.expression === null
    ? null
    : { kind: row.generated === "s" ? "stored" : "virtual", expression: row.expression };

const toColumn = (row: ColumnRow, statistics: readonly ColumnStatistics[]): Column => ({
  attnum: row.attnum,
  name: row.name,
  type: row.type,
  typeOid: row.type_oid,
  baseType: row.base_type,
  notNull: row.not_null,
  maxBytes: maximumBytes(
    { name: row.base_type, length: row.base_length, modifier: row.base_modifier },
    row.bytes_per_character,
  ),
  ordered: row.ordered,
  collation: row.collation,
  generated: generatedOf(row),
  identity: row.identity,
  statistics: statistics.find((one) => !one.inherited) ?? null,
  inheritedStatistics: statistics.find((one) => one.inherited) ?? null,
  statisticsTarget: row.statistics_target,
});

/** Columns by their table's OID, in attribute order. Locks nothing; every role may ask. */
export const readColumns = async (
  session: Session,
  statisticsOf: StatisticsOf,
): Promise<ReadonlyMap<number, readonly Column[]>> => {
  const tables = new Map<number, Column[]>();
  for (const row of await session.query<ColumnRow>(statement)) {
    const columns = tables.get(row.table_oid) ?? [];
    columns.push(toColumn(row, statisticsOf({ schema: row.schema, name: row.table }, row.name)));
    tables.set(row.table_oid, columns);
  }
  return tables;
};
