import type { Catalog, ColumnStatistics, TableName } from "../domain/index.ts";
import type { Session } from "../postgres/index.ts";
import { type FailedStep, reasonOf } from "./attempt.ts";

/** `Float8LessOperator`, which the histogram of range lengths is sorted by. */
const FLOAT8_LESS = 672;

// Rows go straight into pg_statistic, on every major alike (18 has functions for it, which come to the same). The operators are those that
// ANALYZE would note: of the type's default B-tree operator class, found by GetDefaultOpClass's rules. Values go in by the base type: a domain's
// checks would run the target's functions.
const install = `
create function pg_temp.base_type(type oid) returns oid language sql stable as $function$
  with recursive base (oid, typtype, typbasetype) as (
    select oid, typtype, typbasetype from pg_type where oid = type
    union all
    select t.oid, t.typtype, t.typbasetype from pg_type t join base b on b.typtype = 'd' and t.oid = b.typbasetype
  ) select oid from base where typtype <> 'd'
$function$;

create function pg_temp.comparison(base oid, out equal oid, out less oid) language sql stable as $function$
  with class as (
    select k.opcfamily, k.opcintype
      from pg_type t
      join pg_opclass k on k.opcdefault
      join pg_am m on m.oid = k.opcmethod and m.amname = 'btree'
     where t.oid = base
       and (k.opcintype = t.oid
            or k.opcintype = case when t.typcategory = 'A' then 'anyarray'::regtype
                                  when t.typtype = 'e' then 'anyenum'::regtype
                                  when t.typtype = 'r' then 'anyrange'::regtype
                                  when t.typtype = 'm' then 'anymultirange'::regtype
                                  when t.typtype = 'c' then 'record'::regtype end
            or exists (select from pg_cast c
                        where c.castsource = t.oid and c.casttarget = k.opcintype and c.castmethod = 'b' and c.castcontext = 'i'))
     order by k.opcintype = t.oid desc, (select typispreferred from pg_type where oid = k.opcintype) desc
     limit 1
  )
  select max(o.amopopr) filter (where o.amopstrategy = 3), max(o.amopopr) filter (where o.amopstrategy = 1)
    from class join pg_amop o on o.amopfamily = class.opcfamily
     and o.amoplefttype = class.opcintype and o.amoprighttype = class.opcintype
$function$;

create temporary table known_type (
  oid oid primary key, base oid, range oid, element oid, element_collation oid, equal oid, less oid, element_equal oid);

create temporary table key_type (index oid, attnum smallint, type oid, collation_ oid, primary key (index, attnum));

-- An index may store another type than that of its expression, which ANALYZE goes by (examine_attribute): GIN keeps the words of a tsvector, hash an int4. Values
-- of another type than the operators take would crash the server.
create function pg_temp.learn_types() returns void language plpgsql as $function$
declare expression record;
begin
  for expression in
    select x.indexrelid, x.indrelid, (n + 1)::smallint as attnum
      from pg_index x
      cross join generate_series(0, x.indnkeyatts - 1) n
     where x.indkey[n] = 0 and x.indexrelid >= 16384
       and not exists (select from key_type t where t.index = x.indexrelid and t.attnum = n + 1)
  loop
    execute format('create temporary view key_expression as select %s as key from only %s',
                   pg_get_indexdef(expression.indexrelid, expression.attnum, false), expression.indrelid::regclass);
    insert into key_type select expression.indexrelid, expression.attnum, a.atttypid, a.attcollation
      from pg_attribute a where a.attrelid = 'pg_temp.key_expression'::regclass;
    drop view pg_temp.key_expression;
  end loop;
  insert into known_type
  select a.type, t.oid, coalesce(r.rngtypid, t.oid), e.oid, e.typcollation, o.equal, o.less, eo.equal
    from (select u.type, pg_temp.base_type(u.type) as base
            from (select a.atttypid from pg_attribute a where a.attrelid >= 16384 and a.attnum > 0 and not a.attisdropped
                  union
                  select type from key_type) u (type)
           where not exists (select from known_type k where k.oid = u.type)) a
    join pg_type t on t.oid = a.base
    left join pg_range r on r.rngmultitypid = t.oid
    left join pg_type e on e.oid = case when t.typname = 'tsvector' then 'text'::regtype else t.typelem end
   cross join lateral pg_temp.comparison(t.oid) o
   cross join lateral pg_temp.comparison(pg_temp.base_type(e.oid)) eo;
end $function$;

create function pg_temp.import_statistics(given jsonb) returns table (place bigint, state text, message text)
language plpgsql as $function$
declare
  s record; col record;
  mcv boolean; hist boolean; bounds_of_ranges boolean; lengths boolean; corr boolean; elements boolean; counts boolean;
begin
  perform pg_temp.learn_types();
  for s in
    select g.*, r.n
      from jsonb_array_elements(given) with ordinality as r (value, n),
           jsonb_to_record(r.value) as g (schema text, relation text, "column" text, inherited boolean,
             null_fraction real, average_width integer, distinct_values real, common_values text, common_frequencies real[],
             bounds text, correlation real, elements text, element_frequencies real[], element_counts real[],
             empty_fraction real, range_lengths text, range_bounds text)
  loop
    select a.attrelid, a.attnum, coalesce(k.collation_, a.attcollation) as attcollation, t.* into col
      from pg_attribute a
      left join key_type k on k.index = a.attrelid and k.attnum = a.attnum
      join known_type t on t.oid = coalesce(k.type, a.atttypid)
     where a.attrelid = to_regclass(format('%I.%I', s.schema, s.relation)) and a.attname = s."column";
    continue when not found;
    mcv := s.common_values is not null and col.equal is not null;
    hist := s.bounds is not null and col.less is not null;
    corr := s.correlation is not null and col.less is not null;
    bounds_of_ranges := s.range_bounds is not null;
    lengths := s.range_lengths is not null;
    elements := s.elements is not null and col.element_equal is not null;
    counts := s.element_counts is not null and col.element_equal is not null;
    loop
      begin
        insert into pg_statistic values (
          col.attrelid, col.attnum, s.inherited, s.null_fraction, s.average_width, s.distinct_values,
          case when mcv then 1 when bounds_of_ranges then 7 else 0 end, case when hist then 2 when lengths then 6 else 0 end,
          case when corr then 3 else 0 end,
          case when elements then 4 else 0 end, case when counts then 5 else 0 end,
          case when mcv then col.equal else 0 end, case when hist then col.less when lengths then ${FLOAT8_LESS} else 0 end,
          case when corr then col.less else 0 end,
          case when elements then col.element_equal else 0 end, case when counts then col.element_equal else 0 end,
          case when mcv then col.attcollation else 0 end, case when hist then col.attcollation else 0 end,
          case when corr then col.attcollation else 0 end,
          case when elements then col.element_collation else 0 end, case when counts then col.element_collation else 0 end,
          case when mcv then s.common_frequencies end, case when lengths then array[s.empty_fraction] end,
          case when corr then array[s.correlation] end,
          case when elements then s.element_frequencies end, case when counts then s.element_counts end,
          case when mcv then array_in(s.common_values::cstring, col.base, -1)
               when bounds_of_ranges then array_in(s.range_bounds::cstring, col.range, -1) end,
          case when hist then array_in(s.bounds::cstring, col.base, -1)
               when lengths then array_in(s.range_lengths::cstring, 'float8'::regtype, -1) end,
          null,
          case when elements then array_in(s.elements::cstring, col.element, -1) end,
          null);
        exit;
      exception when others then
        exit when not (mcv or hist or elements or bounds_of_ranges or lengths);
        get stacked diagnostics state = returned_sqlstate, message = message_text;
        place := s.n;
        return next;
        -- The values cannot be read here: keep what needs none of them.
        mcv := false; hist := false; elements := false; counts := false; bounds_of_ranges := false; lengths := false;
      end;
    end loop;
  end loop;
end $function$`;

export interface ColumnRow {
  readonly relation: TableName;
  readonly column: string;
  readonly statistics: ColumnStatistics;
}

const toJson = ({ relation, column, statistics }: ColumnRow): Record<string, unknown> => ({
  schema: relation.schema,
  relation: relation.name,
  column,
  inherited: statistics.inherited,
  null_fraction: statistics.nullFraction,
  average_width: statistics.averageWidth,
  distinct_values: statistics.distinct,
  common_values: statistics.mostCommonValues,
  common_frequencies: statistics.mostCommonFrequencies,
  bounds: statistics.histogramBounds,
  correlation: statistics.correlation,
  elements: statistics.mostCommonElements,
  element_frequencies: statistics.mostCommonElementFrequencies,
  element_counts: statistics.elementCountHistogram,
  empty_fraction: statistics.ranges?.emptyFraction ?? null,
  range_lengths: statistics.ranges?.lengths ?? null,
  range_bounds: statistics.ranges?.bounds ?? null,
});

const columnRows = (catalog: Catalog): ColumnRow[] =>
  catalog.tables.flatMap((table) => [
    ...table.columns.flatMap((column) =>
      [column.statistics, column.inheritedStatistics].flatMap((statistics) =>
        statistics === null ? [] : [{ relation: table, column: column.name, statistics }],
      ),
    ),
    ...table.indexes.flatMap((index) =>
      (index.expressionStatistics ?? []).map(({ column, statistics }) => ({ relation: index, column, statistics })),
    ),
  ]);

/** So many columns go in one message; a column's statistics take up to some 100 kB. */
const BATCH = 250;

/** What ANALYZE knew of every column, into `pg_statistic`; answers the columns whose values could not be read. */
export const importColumnStatistics = async (session: Session, catalog: Catalog): Promise<FailedStep[]> => {
  await session.script(install);
  return importRows(session, columnRows(catalog));
};

/** The same for any rows; the import must have been prepared by {@link importColumnStatistics}. */
export const importRows = async (session: Session, rows: readonly ColumnRow[]): Promise<FailedStep[]> => {
  const failed: FailedStep[] = [];
  for (let from = 0; from < rows.length; from += BATCH) {
    const batch = rows.slice(from, from + BATCH);
    for (const { place, state, message } of await session.query<{ place: string; state: string; message: string }>(
      "select place, state, message from pg_temp.import_statistics($1)",
      [JSON.stringify(batch.map(toJson))],
    )) {
      const row = batch[Number(place) - 1];
      if (row === undefined) throw new Error("the shadow reported statistics that it was not given");
      const object = `values in the statistics of ${row.relation.schema}.${row.relation.name}.${row.column}`;
      failed.push({ step: { object, sql: "" }, state, reason: reasonOf(state, message) });
    }
  }
  return failed;
};

const relationStatement = `
update pg_class c
   set relpages = g.pages, reltuples = g.tuples, relallvisible = g."allVisiblePages"
  from jsonb_to_recordset($1) as g (oid oid, pages integer, tuples real, "allVisiblePages" integer)
 where c.oid = g.oid`;

/** How `pg_class` describes a relation of the shadow, by its OID there. */
export interface RelationSize {
  readonly oid: number;
  readonly pages: number;
  readonly tuples: number;
  readonly allVisiblePages: number;
}

export const writeRelationSizes = async (session: Session, sizes: readonly RelationSize[]): Promise<void> => {
  await session.query(relationStatement, [JSON.stringify(sizes)]);
};
