import {
  type Catalog,
  type Column,
  type HypotheticalIndex,
  type IndexDefinition,
  type Statement,
  type Table,
  type TableAccess,
  tableId,
  type Workload,
} from "../domain/index.ts";
import type { EntryCost, EntryKind, WriteCosts } from "./measure.ts";

export interface UpkeepInput {
  readonly catalog: Catalog;
  readonly workload: Workload;
  /** By statement id. */
  readonly accesses: ReadonlyMap<string, readonly TableAccess[]>;
  readonly costs: WriteCosts;
}

/** What one index costs by being there. */
export interface Upkeep {
  /** Milliseconds in the observed period. */
  readonly ms: number;
  /** The same per day; null where the period's length is not known. */
  readonly msPerDay: number | null;
  readonly walBytesPerDay: number | null;
  /** Entries written in the observed period. */
  readonly entries: number;
  /** Updates in the observed period that could stay on their page and no longer can. */
  readonly lostHotUpdates: number;
  /** In the observed period. */
  readonly walBytes: number;
}

/** `free`: nothing can be charged, with the reason for people. */
export type UpkeepModel = (
  | {
      readonly kind: "charged";
      of(index: HypotheticalIndex): Upkeep;
      /** What is not counted, for people; null where nothing is known to be missing. */
      readonly missing: string | null;
    }
  | { readonly kind: "free"; readonly reason: string }
) & {
  /** Milliseconds to build it once on the machine that the costs were measured on: a single INSERT's speed says little about a sort's. */
  buildMs(index: HypotheticalIndex): number;
};

type Tables = ReadonlyMap<string, Table>;

/** What the workload writes into one table. */
interface Writes {
  inserts: number;
  /** Rows updated, by the set of columns that were written. */
  readonly updates: { readonly columns: readonly string[]; readonly rows: number }[];
}

/**
 * The cost of each index in milliseconds of the observed period, the unit of weight × cost where statements were measured: entries that inserts and
 * updates write, and updates that lose the way of HOT. Rows come from the statements; where triggers, functions and COPY write more, at the rate of the
 * table's own counters.
 */
export const createUpkeep = (input: UpkeepInput): UpkeepModel => {
  const tables = new Map(input.catalog.tables.map((table) => [tableId(table), table]));
  const speed = targetSpeed(input, tables);
  const buildMs = (index: HypotheticalIndex): number => {
    const table = tables.get(tableId(index.definition.table));
    return table === undefined ? 0 : buildTime(index.definition, table, input.costs);
  };
  if (input.workload.statements.some((statement) => statement.totalMs === null)) {
    return {
      kind: "free",
      reason: "statements without times cannot be weighed against writes: no write cost is charged",
      buildMs,
    };
  }
  const writes = writesByTable(input, tables);
  const { observedFrom, observedTo } = input.workload;
  const days =
    observedFrom === null || observedTo === null ? null : (observedTo.getTime() - observedFrom.getTime()) / 86_400_000;
  const perDay = (value: number): number | null => (days === null || days <= 0 ? null : value / days);
  return {
    kind: "charged",
    buildMs,
    missing:
      countersWindow(input) === null
        ? "writes by COPY, triggers and functions, which only the tables' own counters show: since when those count is not known"
        : null,
    of: (index) => {
      const { definition } = index;
      const table = tables.get(tableId(definition.table));
      const written = writes.get(tableId(definition.table));
      const cost =
        table === undefined || written === undefined
          ? nothing
          : upkeepOf(definition, table, written, input.costs, input.catalog.server.versionNum >= 160_000);
      const ms = cost.ms * speed;
      return {
        ms,
        msPerDay: perDay(ms),
        walBytesPerDay: perDay(cost.walBytes),
        entries: cost.entries,
        lostHotUpdates: cost.lostHotUpdates,
        walBytes: cost.walBytes,
      };
    },
  };
};

const nothing = { ms: 0, entries: 0, lostHotUpdates: 0, walBytes: 0 };

const upkeepOf = (
  definition: IndexDefinition,
  table: Table,
  { inserts, updates }: Writes,
  costs: WriteCosts,
  /** From 16 on. */
  brinKeepsHot: boolean,
) => {
  const share = predicateShare(definition, table);
  const entry = entryCost(definition, table, costs);
  const columns = columnsOf(definition, table);
  const hotShare = hotShareOf(table);
  const rewritten = updates.filter((update) => update.columns.some((column) => columns.has(column)));
  const updated = updates.reduce((sum, update) => sum + update.rows, 0);
  const touching = rewritten.reduce((sum, update) => sum + update.rows, 0);
  const lostHotUpdates = definition.method === "brin" && brinKeepsHot ? 0 : touching * hotShare;
  // An update off the page writes into every index of the table, whether or not it touches its columns.
  const entries = (inserts + (updated - touching) * (1 - hotShare) + touching) * share;
  const others = table.indexes.reduce(
    (sum, index) => sum + costs.entries[kindOf(index.method, index.keys.length)].ms,
    0,
  );
  return {
    ms: entries * entry.ms + lostHotUpdates * (costs.lostHotMs + others),
    entries,
    lostHotUpdates,
    walBytes: entries * entry.walBytes + lostHotUpdates * table.indexes.length * costs.entries.btree.walBytes,
  };
};

/** The columns whose update writes a new entry. */
const columnsOf = (definition: IndexDefinition, table: Table): ReadonlySet<string> => {
  const text = [definition.where ?? "", ...definition.keys.map((key) => key.expression ?? "")].join(" ");
  return new Set([
    ...definition.keys.map((key) => key.column),
    ...definition.include,
    ...columnsNamedIn(text, table).map((column) => column.name),
  ]);
};

const columnsNamedIn = (text: string, table: Table): Column[] =>
  table.columns.filter(({ name }) =>
    new RegExp(`(^|[^\\w])"?${name.replaceAll(/[^\w]/g, "\\$&")}"?($|[^\\w])`).test(text),
  );

/** The share of updates that stay on their page, by the table's counters; where there are none, what a page with room allows. */
const hotShareOf = ({ activity }: Table): number =>
  activity === null || activity.updates === 0 ? 0.5 : Math.min(1, activity.hotUpdates / activity.updates);

const kindOf = (method: string, keys: number): EntryKind => {
  switch (method) {
    case "hash":
    case "gin":
    case "gist":
    case "spgist":
    case "brin":
      return method;
    default:
      return keys > 1 ? "wide btree" : "btree";
  }
};

/** Bytes of the text and of the jsonb value that the measured GIN entries come from. */
const measuredGinBytes = 66;
/** Each further level of a tree is one more page to find, of the some three that the measured tree has. */
const levelCost = 0.15;
const entriesPerPage = 250;

const entryCost = (definition: IndexDefinition, table: Table, costs: WriteCosts): EntryCost => {
  const isTextSearch = definition.keys.some(
    (key) => key.expression?.startsWith("to_tsvector") === true || key.opclass === "gin_trgm_ops",
  );
  const width = definition.keys.length + definition.include.length;
  const base = costs.entries[isTextSearch ? "text search" : kindOf(definition.method, width)];
  const levels = Math.max(0, Math.log(Math.max(1, table.tuples) / costs.rows) / Math.log(entriesPerPage));
  const column = table.columns.find((one) => one.name === definition.keys[0]?.column);
  const bytes = definition.method === "gin" && column !== undefined ? widthOf(column) / measuredGinBytes : 1;
  const factor = (1 + levelCost * levels) * Math.max(0.5, bytes);
  return { ms: base.ms * factor, walBytes: base.walBytes * Math.max(0.5, bytes), buildMs: base.buildMs * factor };
};

const widthOf = (column: Column): number =>
  (column.statistics ?? column.inheritedStatistics)?.averageWidth ?? measuredGinBytes;

// Sorting n rows takes n log n, and the measured rows are few.
const buildTime = (definition: IndexDefinition, table: Table, costs: WriteCosts): number => {
  const rows = Math.max(1, table.tuples);
  const sorting = Math.max(1, Math.log2(rows) / Math.log2(costs.rows));
  return rows * entryCost(definition, table, costs).buildMs * sorting;
};

// A new row lies in a partial index as often as the rows that are there do, by the null fraction; other predicates are taken for half.
const predicateShare = ({ where }: IndexDefinition, table: Table): number => {
  if (where === undefined) return 1;
  const [column] = columnsNamedIn(where, table);
  const nulls = (column?.statistics ?? column?.inheritedStatistics)?.nullFraction ?? 0;
  if (where.endsWith(" IS NULL)")) return nulls;
  return where.endsWith(" IS NOT NULL)") ? 1 - nulls : 0.5;
};

/** The part of the time in which the tables' counters counted that the observed period makes up; null where that is not known. */
const countersWindow = ({ catalog, workload: { observedFrom, observedTo } }: UpkeepInput): number | null => {
  const since = catalog.activitySince ?? null;
  if (since === null || observedFrom === null || observedTo === null) return null;
  const counted = observedTo.getTime() - new Date(since).getTime();
  return counted <= 0 ? null : Math.min(1, (observedTo.getTime() - observedFrom.getTime()) / counted);
};

const writesByTable = (input: UpkeepInput, tables: Tables): ReadonlyMap<string, Writes> => {
  const { workload, accesses } = input;
  const writes = new Map<string, Writes>();
  const of = (id: string): Writes => {
    const known = writes.get(id) ?? { inserts: 0, updates: [] };
    writes.set(id, known);
    return known;
  };
  for (const statement of [...workload.statements, ...(workload.minor ?? [])]) {
    for (const access of "uses" in statement ? statement.uses : (accesses.get(statement.id) ?? [])) {
      if (access.written.length === 0) continue;
      if (isLoad(statement, tables.get(tableId(access.table)))) continue;
      const rows = rowsWritten(statement);
      const found = of(tableId(access.table));
      if (statement.verb === "insert") found.inserts += rows;
      else found.updates.push({ columns: access.written, rows });
    }
  }
  const part = countersWindow(input);
  if (part === null) return writes;
  for (const [id, table] of tables) {
    if (table.activity === null) continue;
    const found = of(id);
    // Rows that are there may have come by a load, which says nothing about the writes to come; what was inserted beyond them is traffic.
    const unloaded = Math.max(0, table.activity.inserts - Math.max(0, table.tuples));
    found.inserts = Math.max(found.inserts, unloaded * part);
    const seen = found.updates.reduce((sum, update) => sum + update.rows, 0);
    // Which columns unseen updates write is not known; they are taken for others than the index's.
    const unseen = table.activity.updates * part - seen;
    if (unseen > 0) found.updates.push({ columns: [], rows: unseen });
  }
  return writes;
};

type Calls = Pick<Statement, "calls" | "rowsPerCall">;

/** A statement that ran once or twice and wrote a good part of a table has filled it, and says nothing about the writes to come. */
const loadCalls = 2;
const loadShare = 0.1;

const isLoad = (statement: Calls, table: Table | undefined): boolean =>
  statement.calls <= loadCalls && rowsWritten(statement) >= loadShare * Math.max(1, table?.tuples ?? 1);

const rowsWritten = ({ calls, rowsPerCall }: Calls): number => calls * (rowsPerCall ?? 1);

/** How much slower than the measuring server a target may be found to be; beyond, the statement does something else than write. */
const slowest = 10;
const fastest = 0.5;

/** How much longer than on the measuring server an INSERT of one row takes on the target, by the median of its own single-row INSERTs; 1 without any. */
const targetSpeed = ({ workload, accesses, costs }: UpkeepInput, tables: Tables): number => {
  const factors: number[] = [];
  for (const statement of workload.statements) {
    const [access] = accesses.get(statement.id) ?? [];
    if (statement.verb !== "insert" || access === undefined || statement.totalMs === null || statement.calls === 0)
      continue;
    if (statement.rowsPerCall === null || Math.abs(statement.rowsPerCall - 1) > 0.1) continue;
    const table = tables.get(tableId(access.table));
    const entries = (table?.indexes ?? []).reduce(
      (sum, index) => sum + costs.entries[kindOf(index.method, index.keys.length)].ms,
      0,
    );
    factors.push(statement.totalMs / statement.calls / (costs.insertMs + entries));
  }
  const sorted = factors.toSorted((a, b) => a - b);
  const median = sorted[Math.floor(sorted.length / 2)] ?? 1;
  return Math.min(slowest, Math.max(fastest, median));
};
