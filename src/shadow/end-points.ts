import { type Catalog, type ExistingIndex, type Table, type TableName, tableId } from "../domain/index.ts";
import {
  addOwnScans,
  type OwnScans,
  ownScansOfSql,
  quoteIdentifier,
  quoteName,
  type Session,
  SqlState,
  sqlStateOf,
} from "../postgres/index.ts";
import { currentRows } from "../sizes/index.ts";

/** The present lowest and highest value of a column, as PostgreSQL writes them. Real data. */
export interface EndPoints {
  readonly table: TableName;
  readonly column: string;
  readonly lowest: string;
  readonly highest: string;
}

/** Below this share of changed rows a histogram's ends are near enough to the truth. */
const STALE_SHARE = 0.01;

const isStale = (table: Table): boolean =>
  (table.activity?.modificationsSinceAnalyze ?? 0) > STALE_SHARE * currentRows(table);

/** Whether the planner asks this index for the ends of its leading column (`get_actual_variable_range`), and we can rebuild its tuples. */
export const answersEndPoints = (index: ExistingIndex): boolean =>
  index.method === "btree" && index.valid && index.plainKeys && index.predicate === null && index.sizeBytes > 0;

/** The histogram leaves out common values, so that its ends need not be the column's. */
const histogramIsPartial = (table: Table, name: string): boolean => {
  const statistics = table.columns.find((column) => column.name === name)?.statistics ?? null;
  return statistics !== null && statistics.histogramBounds !== null && statistics.mostCommonValues !== null;
};

/** ANALYZE looks at this many rows for each step of the statistics target: of a larger table it hardly ever sees the ends. */
const SAMPLE_ROWS = 300;

const isSampled = (catalog: Catalog, table: Table, name: string): boolean => {
  const column = table.columns.find((one) => one.name === name);
  const target = column?.statisticsTarget ?? Number(catalog.plannerSettings["default_statistics_target"] ?? 100);
  return currentRows(table) > SAMPLE_ROWS * target;
};

/** Whether statistics may not tell where the column's values end. */
const endsMayDiffer = (catalog: Catalog, table: Table, name: string): boolean =>
  isStale(table) || histogramIsPartial(table, name) || isSampled(catalog, table, name);

/** Whether only an index with this leading column would tell the planner where its values end. */
export const endsAreUnknown = (catalog: Catalog, table: Table, name: string): boolean =>
  endsMayDiffer(catalog, table, name) &&
  !table.indexes.some((index) => answersEndPoints(index) && index.keys[0] === name);

// Two probes of an index, which raise its idx_scan by two. Takes ACCESS SHARE; needs SELECT on the table (pg_read_all_data). Many dead rows at an
// end make a probe slow, hence the time-out. The names of its columns tell the observation (`workload`) that it is ours.
const probe = (table: Table, column: string): string => {
  const value = `t.${quoteIdentifier(column)}`;
  const end = (direction: string): string =>
    `(select ${value}::text from only ${quoteName(table)} t where ${value} is not null order by ${value} ${direction} limit 1)`;
  return `
    begin read only;
    set local statement_timeout = '500ms'; set local enable_seqscan = off; set local enable_bitmapscan = off; set local jit = off;
    set local max_parallel_workers_per_gather = 0; set local datestyle = 'ISO, MDY'; set local intervalstyle = postgres;
    ${ownScansOfSql(table.oid)}
    select ${end("asc")} as indexpilot_lowest, ${end("desc")} as indexpilot_highest;
    ${ownScansOfSql(table.oid)}
    commit`;
};

/** Answers of a probe that mean: do without. */
const harmless = new Set<string | null>([
  SqlState.queryCanceled,
  SqlState.lockNotAvailable,
  SqlState.insufficientPrivilege,
  SqlState.undefinedTable,
  SqlState.undefinedColumn,
]);

/** Tables of which policies may hide rows from this role: their ends as it sees them need not be the planner's. */
const readBlinded = async (session: Session): Promise<ReadonlySet<string>> => {
  const rows = await session.query<TableName>(
    `select n.nspname as schema, c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where c.relrowsecurity and row_security_active(c.oid)`,
  );
  return new Set(rows.map(tableId));
};

/**
 * The ends of those columns where the statistics may not tell them, as the target's own planner would ask for them: leading columns of its
 * B-trees, where the statistics are stale, come from a sample, or leave common values out of the histogram. `ledger` is told which indexes that scanned.
 */
export const readEndPoints = async (session: Session, catalog: Catalog, ledger: OwnScans): Promise<EndPoints[]> => {
  const found: EndPoints[] = [];
  const blinded = await readBlinded(session);
  for (const table of catalog.tables) {
    if (blinded.has(tableId(table)) || table.kind === "partitioned") continue;
    const leading = new Set(table.indexes.filter(answersEndPoints).flatMap((index) => index.keys[0] ?? []));
    for (const column of leading) {
      if (!endsMayDiffer(catalog, table, column)) continue;
      try {
        const results = await session.script(probe(table, column));
        // The last four: counters, the answer, counters, commit.
        const [before = [], answer = [], after = []] = results.slice(-4);
        addOwnScans(ledger, before, after);
        const [row] = answer as { indexpilot_lowest: string | null; indexpilot_highest: string | null }[];
        const { indexpilot_lowest: lowest = null, indexpilot_highest: highest = null } = row ?? {};
        if (lowest === null || highest === null) continue;
        found.push({ table: { schema: table.schema, name: table.name }, column, lowest, highest });
      } catch (error) {
        if (!harmless.has(sqlStateOf(error))) throw error;
        await session.script("rollback");
      }
    }
  }
  return found;
};

/** End points by table and column. */
export type EndPointsOf = (table: TableName, column: string) => EndPoints | null;

export const endPointsByColumn = (all: readonly EndPoints[]): EndPointsOf => {
  const byColumn = new Map(all.map((one) => [JSON.stringify([tableId(one.table), one.column]), one]));
  return (table, column) => byColumn.get(JSON.stringify([tableId(table), column])) ?? null;
};
