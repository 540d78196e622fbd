import type { Column, ColumnStatistics, ExistingIndex, IndexDefinition, Table } from "../domain/index.ts";
import { PAGE_BYTES } from "./page.ts";

/** A B-tree as CREATE INDEX would leave it. */
export interface BtreeSize {
  /** The table's rows as the planner counts them now: `reltuples` scaled to the file's present length. */
  readonly rows: number;
  /** All pages, metapage included. */
  readonly pages: number;
  readonly bytes: number;
  /** Levels above the leaves. */
  readonly height: number;
}

const ITEM_POINTER_BYTES = 6;
const LINE_POINTER_BYTES = 4;
const TUPLE_HEADER_BYTES = 8;
/** Header plus null bitmap, aligned. */
const NULL_TUPLE_HEADER_BYTES = 16;

const FULL_PAGE_BYTES = 8144;
// What nbtsort.c puts on a page: 8144 bytes are free on a new one, and it is full when less than (100 − fillfactor) % of 8192 are left.
const LEAF_BYTES = 8144 - 819;
const INNER_BYTES = 8144 - 2457;
/** nbtsort.c: MAXALIGN_DOWN(10 % of a page) − line pointer; a posting list is itself aligned down from that. */
const POSTING_BYTES = 808;

const UNKNOWN_WIDTH = 32;

const align = (offset: number, boundary: number): number => Math.ceil(offset / boundary) * boundary;

const doubleAligned = new Set([
  "int8",
  "float8",
  "timestamp",
  "timestamptz",
  "time",
  "timetz",
  "interval",
  "money",
  "xid8",
  "pg_lsn",
]);
const byteAligned = new Set(["bool", "char", "uuid", "name"]);
const variableLength = new Set(["varchar", "bpchar", "bit", "varbit", "numeric", "inet", "cidr"]);

/** Types whose equal values may differ in their bytes, so that their operator class forbids posting lists (`equalimage`). */
const neverDeduplicated = new Set(["numeric", "float4", "float8", "jsonb", "interval", "citext", "ltree", "hstore"]);

const deduplicates = (column: Column): boolean =>
  !neverDeduplicated.has(column.baseType) && !column.baseType.startsWith("_") && !column.baseType.endsWith("range");

const isVariable = (column: Column): boolean => column.maxBytes === null || variableLength.has(column.baseType);

const statisticsOf = (column: Column): ColumnStatistics | null => column.statistics ?? column.inheritedStatistics;

/** Mean bytes of a value that is not null, as ANALYZE measured it or the type says. */
export const widthOf = (column: Column): number => {
  const average = statisticsOf(column)?.averageWidth;
  if (average !== undefined && average > 0) return average;
  return isVariable(column) ? Math.min(column.maxBytes ?? UNKNOWN_WIDTH, UNKNOWN_WIDTH) : (column.maxBytes ?? 4);
};

const boundaryOf = (column: Column, width: number): number => {
  // Values up to 126 bytes are packed with a one-byte length word, which needs no alignment.
  if (isVariable(column)) return width <= 127 ? 1 : 4;
  if (doubleAligned.has(column.baseType)) return 8;
  if (byteAligned.has(column.baseType)) return 1;
  return width % 4 === 0 ? 4 : width % 2 === 0 ? 2 : 1;
};

/** `char(n)` is padded: its width does not vary. */
const varies = (column: Column): boolean => isVariable(column) && column.baseType !== "bpchar";

/** Where real widths lie about the mean that `pg_stats` cuts to a whole number: at most ±2 bytes, less for short values. */
const spread = [-1, -0.5, 0, 0.5, 1];

/** Mean bytes of an index tuple without its line pointer: columns aligned in turn, averaged over the spread of a variable width. */
const tupleBytes = (columns: readonly Column[], header: number): number => {
  const variable = columns.find(varies);
  const deviations = variable === undefined ? [0] : spread.map((one) => 0.5 + one * Math.min(2, widthOf(variable) / 4));
  let sum = 0;
  for (const deviation of deviations) {
    let offset = 0;
    for (const column of columns) {
      const width = widthOf(column);
      offset = align(offset, boundaryOf(column, width)) + width + (column === variable ? deviation : 0);
    }
    sum += align(header + offset, 8);
  }
  return sum / deviations.length;
};

/** Values that occur about equally often: how many, and each one's share of the rows. */
export interface FrequencyClass {
  readonly values: number;
  readonly share: number;
  /** For a combination of columns: the share of the rows that have its rarest part. */
  readonly rarest: number;
}

/** More classes than this per column are merged with their neighbours, so that the product over three columns stays small. */
const CLASSES = 12;

/** How a column's values are spread; shares are of the rows that are not null. */
export const frequencyClasses = (column: Column, rows: number): FrequencyClass[] => {
  const statistics = statisticsOf(column);
  // Nothing known: every row its own value, the estimate that promises least.
  if (statistics === null || statistics.distinct === 0) return [{ values: rows, share: 1 / rows, rarest: 1 / rows }];
  const present = 1 - statistics.nullFraction;
  if (present <= 0) return [];
  const distinct = Math.max(1, statistics.distinct > 0 ? statistics.distinct : -statistics.distinct * rows);
  const common = (statistics.mostCommonFrequencies ?? []).map((frequency) => frequency / present);
  const rest = Math.max(0, 1 - common.reduce((sum, share) => sum + share, 0));
  const others = distinct - common.length;
  const classes: FrequencyClass[] = [];
  const step = Math.ceil(common.length / CLASSES);
  for (let from = 0; from < common.length; from += step) {
    const part = common.slice(from, from + step);
    const share = part.reduce((sum, one) => sum + one, 0) / part.length;
    classes.push({ values: part.length, share, rarest: share });
  }
  if (others >= 1 && rest > 0) {
    classes.push({ values: others, share: rest / others, rarest: rest / others });
  }
  return classes;
};

const crossed = (left: readonly FrequencyClass[], right: readonly FrequencyClass[]): FrequencyClass[] =>
  left.flatMap((one) =>
    right.map((other) => ({
      values: one.values * other.values,
      share: one.share * other.share,
      rarest: Math.min(one.rarest, other.rarest),
    })),
  );

/** More combinations of classes than this are merged with their neighbours, so that any number of columns can be crossed. */
const COMBINATIONS = 12 * CLASSES;

const merged = (classes: readonly FrequencyClass[]): readonly FrequencyClass[] => {
  if (classes.length <= COMBINATIONS) return classes;
  const sorted = classes.toSorted((a, b) => a.share - b.share);
  const step = Math.ceil(sorted.length / COMBINATIONS);
  const result: FrequencyClass[] = [];
  for (let from = 0; from < sorted.length; from += step) {
    const part = sorted.slice(from, from + step);
    const values = part.reduce((sum, one) => sum + one.values, 0);
    const mean = (of: (one: FrequencyClass) => number): number =>
      part.reduce((sum, one) => sum + one.values * of(one), 0) / values;
    result.push({ values, share: mean((one) => one.share), rarest: mean((one) => one.rarest) });
  }
  return result;
};

/** How many of a class's combinations occur: each of the `most` rows with its rarest part has the other parts by chance. */
const occurringValues = ({ values, share, rarest }: FrequencyClass, rows: number): number => {
  const most = Math.max(1, rows * rarest);
  const chance = Math.min(1, (rows * share) / most);
  return values * (1 - (1 - chance) ** most);
};

/** Bytes, line pointers included, and number of index tuples for `count` equal keys. */
const postingBytes = (tuple: number, count: number): { bytes: number; items: number } => {
  const most = Math.floor((POSTING_BYTES - tuple) / ITEM_POINTER_BYTES);
  if (most < 2 || count <= 1) return { bytes: count * (tuple + LINE_POINTER_BYTES), items: count };
  const whole = (n: number): { bytes: number; items: number } => {
    const full = Math.floor(n / most);
    const left = n - full * most;
    const last = left === 0 ? 0 : left === 1 ? tuple : align(tuple + left * ITEM_POINTER_BYTES, 8);
    const items = full + (left > 0 ? 1 : 0);
    return { bytes: full * align(tuple + most * ITEM_POINTER_BYTES, 8) + last + items * LINE_POINTER_BYTES, items };
  };
  const below = whole(Math.floor(count));
  const above = whole(Math.ceil(count));
  const weight = count - Math.floor(count);
  return {
    bytes: below.bytes + (above.bytes - below.bytes) * weight,
    items: below.items + (above.items - below.items) * weight,
  };
};

export const nullFractionOf = (column: Column): number => statisticsOf(column)?.nullFraction ?? 0;

const isNullable = (column: Column): boolean => nullFractionOf(column) > 0;

/** Which of the columns are null together, each with its probability (independent columns). */
const nullPatterns = (columns: readonly Column[]): { readonly probability: number; readonly nulls: Set<Column> }[] => {
  let patterns = [{ probability: 1, nulls: new Set<Column>() }];
  for (const column of columns) {
    const fraction = nullFractionOf(column);
    if (fraction === 0) continue;
    patterns = patterns
      .flatMap((pattern) => [
        { probability: pattern.probability * (1 - fraction), nulls: pattern.nulls },
        { probability: pattern.probability * fraction, nulls: new Set([...pattern.nulls, column]) },
      ])
      .filter((pattern) => pattern.probability > 1e-4);
  }
  return patterns;
};

const heightAbove = (
  leafPages: number,
  fanOut: number,
  rootFanOut = fanOut,
): { readonly height: number; readonly innerPages: number } => {
  let height = 0;
  let innerPages = 0;
  for (let pages = leafPages; pages > 1; height += 1) {
    pages = pages <= rootFanOut ? 1 : Math.ceil(pages / fanOut);
    innerPages += pages;
  }
  return { height, innerPages };
};

const fanOutOf = (pivotBytes: number, pageBytes = INNER_BYTES): number =>
  Math.max(2, Math.floor(pageBytes / (pivotBytes + LINE_POINTER_BYTES)));

/** The planner's row count (`estimate_rel_size`): the density of the last ANALYZE over the present length. */
export const currentRows = (table: Table): number => {
  if (table.blocks === 0) return 0;
  if (table.tuples >= 0 && table.pages > 0) return Math.round((table.tuples / table.pages) * table.blocks);
  const width = table.columns.reduce((sum, column) => sum + widthOf(column), 0);
  return Math.round((table.blocks * (PAGE_BYTES - 24)) / (align(width, 8) + 28));
};

/** @throws Error when the table has no such column: a broken invariant, as PostgreSQL has built the index by then. */
export const columnOf = (table: Table, name: string): Column => {
  const column = table.columns.find((one) => one.name === name);
  if (column === undefined) throw new Error(`an index definition names a column that ${table.name} does not have`);
  return column;
};

const isUnique = (table: Table, keys: readonly string[]): boolean =>
  table.indexes.some(
    (index) =>
      index.unique &&
      index.valid &&
      index.predicate === null &&
      index.keys.every((key) => key !== null && keys.includes(key)),
  );

interface LeafContents {
  /** Line pointers included. */
  readonly bytes: number;
  /** Index tuples: single entries and posting lists. */
  readonly items: number;
  /** Different keys. */
  readonly values: number;
}

/**
 * What the leaves of a B-tree hold.
 * @param all the table's rows, which shares and negative `n_distinct` refer to
 */
const leafContents = (stored: readonly Column[], rows: number, all: number, grouped: boolean): LeafContents => {
  let bytes = 0;
  let items = 0;
  let values = 0;
  for (const { probability, nulls } of nullPatterns(stored)) {
    const present = stored.filter((column) => !nulls.has(column));
    const tuple = tupleBytes(present, nulls.size > 0 ? NULL_TUPLE_HEADER_BYTES : TUPLE_HEADER_BYTES);
    const part = rows * probability;
    const one: FrequencyClass = { values: 1, share: 1, rarest: 1 };
    const classes = present
      .map((column) => frequencyClasses(column, all))
      .reduce<readonly FrequencyClass[]>((left, right) => crossed(merged(left), right), [one]);
    if (!grouped) {
      bytes += part * (tuple + LINE_POINTER_BYTES);
      items += part;
      values += classes.reduce((sum, group) => sum + occurringValues(group, part), 0);
      continue;
    }
    for (const group of classes) {
      const occurring = occurringValues(group, part);
      if (occurring === 0) continue;
      const each = postingBytes(tuple, (part * group.share * group.values) / occurring);
      values += occurring;
      bytes += occurring * each.bytes;
      items += occurring * each.items;
    }
  }
  return { bytes, items, values };
};

/** Share of the boundaries between two entries that lie within equal keys: there the level above also notes the row. */
const sameKeyShare = ({ items, values }: LeafContents): number => (items === 0 ? 0 : Math.max(0, 1 - values / items));

/** What the catalogue alone does not tell about an index. */
export interface BtreeFacts {
  /** Rows that a predicate lets in; without it all. */
  readonly rows?: number;
  /** What stands for a key that is an expression, by the key's place. */
  readonly expressions?: ReadonlyMap<number, Column>;
}

/**
 * The size of a B-tree that CREATE INDEX would make: rows × tuple width, less what deduplication saves (PostgreSQL 13 and later; nbtdedup.c,
 * nbtsort.c). Columns count as independent of each other and of a predicate. For the error see `sizeErrorOf`.
 * A partitioned table has no rows of its own: ask for each partition.
 */
export const estimateBtreeSize = (table: Table, definition: IndexDefinition, facts: BtreeFacts = {}): BtreeSize => {
  const all = currentRows(table);
  const rows = Math.min(all, facts.rows ?? all);
  if (rows === 0) return { rows, pages: 1, bytes: PAGE_BYTES, height: 0 };
  const keys = definition.keys.map((key, place) => facts.expressions?.get(place) ?? columnOf(table, key.column));
  const stored = [...keys, ...definition.include.map((name) => columnOf(table, name))];
  const isUniqueKey = isUnique(
    table,
    definition.keys.flatMap((key) => (key.expression === undefined ? [key.column] : [])),
  );
  const grouped = definition.include.length === 0 && keys.every(deduplicates) && !isUniqueKey;

  const contents = leafContents(stored, rows, all, grouped);
  const { bytes, items } = contents;
  const average = bytes / items;
  // Where all entries are of one length, what is left of a page holds no further one.
  const uniform = Math.round(items) === rows && !stored.some((column) => varies(column) || isNullable(column));
  const leafPages = Math.ceil(uniform ? items / Math.floor(LEAF_BYTES / average) : bytes / LEAF_BYTES);
  const pivot = tupleBytes(keys, TUPLE_HEADER_BYTES) + (isUniqueKey ? 0 : 8 * sameKeyShare(contents));
  const { height, innerPages } = heightAbove(leafPages, fanOutOf(pivot));
  const pages = 1 + leafPages + innerPages;
  return { rows, pages, bytes: pages * PAGE_BYTES, height };
};

/** CREATE TABLE gives the indexes of its constraints OIDs that follow the table's closely. */
const SAME_STATEMENT_OIDS = 40;

/**
 * Levels above the leaves of an existing B-tree, from its length and the width of its keys. CREATE INDEX leaves 30 % of each inner page free; where
 * the index came with its table, it grew row by row, and a root is full before another level comes.
 */
export const estimateBtreeHeight = (table: Table, index: ExistingIndex, pages: number): number => {
  const expressions = index.expressionStatistics ?? [];
  const keys = index.keys.flatMap((key) => (key === null ? [] : [columnOf(table, key)]));
  const expressionBytes = index.keys
    .filter((key) => key === null)
    .reduce((sum, _, i) => sum + (expressions[i]?.statistics.averageWidth ?? UNKNOWN_WIDTH), 0);
  const all = currentRows(table);
  const isRepeated = !index.unique && expressionBytes === 0 && all > 0;
  const grouped = index.include.length === 0 && keys.every(deduplicates);
  const noted = isRepeated
    ? 8 * sameKeyShare(leafContents(keys, Math.max(1, Math.min(all, index.tuples)), all, grouped))
    : 0;
  const pivot = align(tupleBytes(keys, TUPLE_HEADER_BYTES) + expressionBytes, 8) + noted;
  const fanOut = fanOutOf(pivot);
  const distance = index.oid - table.oid;
  const cameWithTable = index.constraint !== null && distance > 0 && distance < SAME_STATEMENT_OIDS;
  const full = fanOutOf(pivot, FULL_PAGE_BYTES);
  const above = (length: number, rootFanOut: number): number =>
    heightAbove(Math.max(1, Math.round((length - 1) * (1 - 1 / fanOut))), fanOut, rootFanOut).height;
  if (cameWithTable || index.pages <= 0) return above(pages, full);
  // What it had when it was last measured, and a level more only once the root is full.
  return Math.max(above(Math.min(pages, index.pages), fanOut), above(pages, full));
};
