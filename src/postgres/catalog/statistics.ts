import { type ColumnStatistics, type TableName, tableId } from "../../domain/index.ts";
import type { Session } from "../session.ts";
import { isUserSchema } from "./scope.ts";
import { slotColumns, type StatisticsRow, toStatistics, viewColumns } from "./slots.ts";

interface ColumnRow extends StatisticsRow {
  readonly schema: string;
  readonly relation: string;
  readonly column: string;
}

// pg_read_all_data may read pg_statistic. Others see in pg_stats what they may read of the table itself: nothing where row-level security binds
// them. The view has no OIDs, but schema and relation name are unique together, and so are the columns of one relation.
const tableStatement = `
select n.nspname as schema, c.relname as relation, a.attname as "column", x.stainherit as inherited,${slotColumns}
  from pg_statistic x
  join pg_class c on c.oid = x.starelid
  join pg_namespace n on n.oid = c.relnamespace
  join pg_attribute a on a.attrelid = x.starelid and a.attnum = x.staattnum
 where not a.attisdropped and ${isUserSchema("n.nspname")}`;

const viewStatement = (versionNum: number): string => `
select schemaname as schema, tablename as relation, attname as "column", inherited,${viewColumns(versionNum)}
  from pg_stats
 where ${isUserSchema("schemaname")}`;

/** Whether the role may read one of the catalogues that PostgreSQL shows to few. */
export const mayRead = async (
  session: Session,
  catalog: "pg_statistic" | "pg_statistic_ext_data",
): Promise<boolean> => {
  const [access] = await session.query<{ readable: boolean }>(
    `select has_table_privilege('${catalog}', 'select') as readable`,
  );
  return access?.readable === true;
};

/** The statistics of one column of a table or of one expression of an index; empty when there are none. */
export type StatisticsOf = (relation: TableName, column: string) => readonly ColumnStatistics[];

/** What ANALYZE knows of every column. Needs SELECT on the tables or on `pg_statistic` (pg_read_all_data has both). */
export const readColumnStatistics = async (
  session: Session,
): Promise<{ readonly of: StatisticsOf; readonly columnsOf: (relation: TableName) => readonly string[] }> => {
  const relations = new Map<string, Map<string, ColumnStatistics[]>>();
  const statement = (await mayRead(session, "pg_statistic")) ? tableStatement : viewStatement(session.versionNum);
  for (const row of await session.query<ColumnRow>(statement)) {
    const id = tableId({ schema: row.schema, name: row.relation });
    const columns = relations.get(id) ?? new Map<string, ColumnStatistics[]>();
    relations.set(id, columns);
    columns.set(row.column, [...(columns.get(row.column) ?? []), toStatistics(row)]);
  }
  return {
    of: (relation, column) => relations.get(tableId(relation))?.get(column) ?? [],
    columnsOf: (relation) => [...(relations.get(tableId(relation))?.keys() ?? [])],
  };
};
