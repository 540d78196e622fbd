import {
  type ColumnStatistics,
  type ExtendedStatistics,
  type ExtendedStatisticsData,
  type TableName,
  tableId,
} from "../../domain/index.ts";
import type { Session } from "../session.ts";
import { isUserSchema } from "./scope.ts";
import { readExpressionStatistics, readRangeStatistics } from "./slots.ts";

interface StatisticsRow {
  readonly schema: string;
  readonly relation: string;
  readonly column: string;
  readonly inherited: boolean;
  readonly null_fraction: number;
  readonly average_width: number;
  readonly distinct: number;
  readonly common_values: string | null;
  readonly common_frequencies: number[] | null;
  readonly bounds: string | null;
  readonly correlation: number | null;
  readonly common_elements: string | null;
  readonly element_frequencies: number[] | null;
  readonly element_counts: number[] | null;
}

// pg_stats shows what the role may read of the table itself, which pg_statistic would not check; it has no OIDs, but schema and relation
// name are unique together, and so are the columns of one relation.
const columnStatement = `
select schemaname as schema, tablename as relation, attname as "column", inherited,
       null_frac as null_fraction, avg_width as average_width, n_distinct as "distinct",
       most_common_vals::text as common_values, most_common_freqs as common_frequencies,
       histogram_bounds::text as bounds, correlation,
       most_common_elems::text as common_elements, most_common_elem_freqs as element_frequencies,
       elem_count_histogram as element_counts
  from pg_stats
 where ${isUserSchema("schemaname")}`;

/** The statistics of one column of a table or of one expression of an index; empty when there are none. */
export type StatisticsOf = (relation: TableName, column: string) => readonly ColumnStatistics[];

/** What ANALYZE knows of every column. Needs SELECT on the tables (pg_read_all_data). */
export const readColumnStatistics = async (
  session: Session,
): Promise<{ readonly of: StatisticsOf; readonly columnsOf: (relation: TableName) => readonly string[] }> => {
  const relations = new Map<string, Map<string, ColumnStatistics[]>>();
  const rangesOf = await readRangeStatistics(session);
  for (const row of await session.query<StatisticsRow>(columnStatement)) {
    const id = tableId({ schema: row.schema, name: row.relation });
    const columns = relations.get(id) ?? new Map<string, ColumnStatistics[]>();
    relations.set(id, columns);
    const ranges = rangesOf(row.schema, row.relation, row.column, row.inherited);
    const statistics = { ...toStatistics(row), ...(ranges === undefined ? {} : { ranges }) };
    columns.set(row.column, [...(columns.get(row.column) ?? []), statistics]);
  }
  return {
    of: (relation, column) => relations.get(tableId(relation))?.get(column) ?? [],
    columnsOf: (relation) => [...(relations.get(tableId(relation))?.keys() ?? [])],
  };
};

const toStatistics = (row: StatisticsRow): ColumnStatistics => ({
  inherited: row.inherited,
  nullFraction: row.null_fraction,
  averageWidth: row.average_width,
  distinct: row.distinct,
  mostCommonValues: row.common_values,
  mostCommonFrequencies: row.common_frequencies,
  histogramBounds: row.bounds,
  correlation: row.correlation,
  mostCommonElements: row.common_elements,
  mostCommonElementFrequencies: row.element_frequencies,
  elementCountHistogram: row.element_counts,
});

interface ExtendedRow {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly table_schema: string;
  readonly table_name: string;
  readonly definition: string;
}

const extendedStatement = `
select s.oid, n.nspname as schema, s.stxname as name, cn.nspname as table_schema, c.relname as table_name,
       pg_get_statisticsobjdef(s.oid) as definition
  from pg_statistic_ext s
  join pg_namespace n on n.oid = s.stxnamespace
  join pg_class c on c.oid = s.stxrelid
  join pg_namespace cn on cn.oid = c.relnamespace
 where c.relpersistence <> 't' and ${isUserSchema("cn.nspname")}
 order by s.oid`;

interface DataRow extends ExtendedStatisticsData {
  readonly oid: number;
}

// 14 keeps one row per object, for the inheritance tree where there is one.
const dataStatement = (versionNum: number): string => `
select s.oid, ${versionNum >= 150_000 ? "d.stxdinherit" : "false"} as inherited,
       encode(d.stxdndistinct::bytea, 'hex') as "distinct",
       encode(d.stxddependencies::bytea, 'hex') as dependencies,
       encode(d.stxdmcv::bytea, 'hex') as "mostCommonValues"
  from pg_statistic_ext s
  join pg_statistic_ext_data d on d.stxoid = s.oid
  join pg_class c on c.oid = s.stxrelid
  join pg_namespace n on n.oid = c.relnamespace
 where ${isUserSchema("n.nspname")}`;

/** The first OID of the user's own types; those below are the same on every server of a major. */
const FIRST_USER_OID = 16384;

// MCVList (extended_stats_internal.h) as it is stored: magic, type and number of items, number of dimensions, then each dimension's type.
const isPortable = (hexadecimal: string): boolean => {
  const list = Buffer.from(hexadecimal, "hex");
  const dimensions = list.readInt16LE(12);
  return Array.from({ length: dimensions }, (_, i) => list.readUInt32LE(14 + 4 * i)).every(
    (oid) => oid < FIRST_USER_OID,
  );
};

/** CREATE STATISTICS objects; what ANALYZE found only for a role that may read `pg_statistic_ext_data` (pg_read_all_data may). */
export const readExtendedStatistics = async (session: Session): Promise<ExtendedStatistics[]> => {
  const objects = await session.query<ExtendedRow>(extendedStatement);
  if (objects.length === 0) return [];
  const [access] = await session.query<{ readable: boolean }>(
    `select has_table_privilege('pg_statistic_ext_data', 'select') as readable`,
  );
  const readable = access?.readable === true;
  const data = readable ? await session.query<DataRow>(dataStatement(session.versionNum)) : [];
  const expressionsOf = readable ? await readExpressionStatistics(session) : () => undefined;
  return objects.map((row) => ({
    schema: row.schema,
    name: row.name,
    table: { schema: row.table_schema, name: row.table_name },
    definition: row.definition,
    data: data
      .filter((one) => one.oid === row.oid)
      .map(({ inherited, distinct, dependencies, mostCommonValues }) => {
        const expressions = expressionsOf(row.oid, inherited);
        return {
          inherited,
          distinct,
          dependencies,
          mostCommonValues: mostCommonValues !== null && isPortable(mostCommonValues) ? mostCommonValues : null,
          ...(expressions === undefined ? {} : { expressions }),
        };
      }),
  }));
};
