import type { Column, ExistingIndex, IndexDefinition, Table } from "../domain/index.ts";
import { crossed, type FrequencyClass, frequencyClasses, merged, occurringValues } from "./frequency.ts";
import { PAGE_BYTES } from "./page.ts";
import {
  align,
  deduplicates,
  isNullable,
  LINE_POINTER_BYTES,
  NULL_TUPLE_HEADER_BYTES,
  nullPatterns,
  type SizedColumn,
  TUPLE_HEADER_BYTES,
  tupleBytes,
  UNKNOWN_WIDTH,
  varies,
  widthOf,
} from "./tuple.ts";

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

const FULL_PAGE_BYTES = 8144;
// What nbtsort.c puts on a page: 8144 bytes are free on a new one, and it is full when less than (100 − fillfactor) % of 8192 are left.
const DEFAULT_FILLFACTOR = 90;
const leafBytes = (fillfactor: number): number => FULL_PAGE_BYTES - Math.floor((PAGE_BYTES * (100 - fillfactor)) / 100);
const INNER_BYTES = 8144 - 2457;
/** nbtsort.c: MAXALIGN_DOWN(10 % of a page) − line pointer; a posting list is itself aligned down from that. */
const POSTING_BYTES = 808;

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

/** More equal keys than this vary little beside their number. */
const MANY = 30;

/** The same where numbers of equal keys are Poisson's, given that each key occurs. */
const chancePostingBytes = (tuple: number, mean: number): { bytes: number; items: number } => {
  if (mean <= 1 || mean > MANY) return postingBytes(tuple, mean);
  // λ / (1 − e^−λ) = mean, by Newton's method from above.
  let lambda = mean;
  for (let i = 0; i < 20; i += 1) {
    const left = 1 - Math.exp(-lambda);
    lambda -= (lambda / left - mean) / ((left - lambda * Math.exp(-lambda)) / left ** 2);
  }
  const sum = { bytes: 0, items: 0 };
  let probability = Math.exp(-lambda) / (1 - Math.exp(-lambda));
  for (let count = 1; count <= 3 * MANY; count += 1) {
    probability *= lambda / count;
    const each = postingBytes(tuple, count);
    sum.bytes += probability * each.bytes;
    sum.items += probability * each.items;
  }
  return sum;
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

/** How what the statistics leave open is taken. */
export interface Assumptions {
  /** Keys of one class: each in as many rows as any other (the mean), or in numbers that vary by chance. Default `even`. */
  readonly repeats?: "even" | "by chance";
  /** How many keys occur in how many rows each, where somebody counted: then nothing else is assumed. */
  readonly counted?: readonly { readonly rows: number; readonly keys: number }[];
  /** How many different keys there are, where somebody counted: in place of what the columns' own statistics make of it. */
  readonly distinctKeys?: number | null;
  /** Whether all columns are functions of the one with the most values, or independent of each other. Default independent. */
  readonly dependent?: boolean;
}

interface LeafContents {
  /** Line pointers included. */
  readonly bytes: number;
  /** Index tuples: single entries and posting lists. */
  readonly items: number;
  /** Different keys. */
  readonly values: number;
}

const valuesIn = (classes: readonly FrequencyClass[]): number => classes.reduce((sum, one) => sum + one.values, 0);

/**
 * What the leaves of a B-tree hold.
 * @param all the table's rows, which shares and negative `n_distinct` refer to
 */
const leafContents = (
  stored: readonly SizedColumn[],
  rows: number,
  all: number,
  grouped: boolean,
  assumptions: Assumptions = {},
): LeafContents => {
  const bytesOf = assumptions.repeats === "by chance" ? chancePostingBytes : postingBytes;
  let bytes = 0;
  let items = 0;
  let values = 0;
  for (const { probability, nulls } of nullPatterns(stored)) {
    const present = stored.filter((column) => !nulls.has(column));
    const tuple = tupleBytes(present, nulls.size > 0 ? NULL_TUPLE_HEADER_BYTES : TUPLE_HEADER_BYTES);
    const part = rows * probability;
    const one: FrequencyClass = { values: 1, share: 1, rarest: 1 };
    const single = present.map((column) => frequencyClasses(column, all));
    const classes =
      assumptions.dependent === true
        ? (single.toSorted((a, b) => valuesIn(b) - valuesIn(a))[0] ?? [one])
        : single.reduce<readonly FrequencyClass[]>((left, right) => crossed(merged(left), right), [one]);
    const { counted } = assumptions;
    if (grouped && counted !== undefined) {
      for (const { rows: count, keys } of counted) {
        const each = postingBytes(tuple, count);
        values += probability * keys;
        bytes += probability * keys * each.bytes;
        items += probability * keys * each.items;
      }
      continue;
    }
    if (!grouped) {
      bytes += part * (tuple + LINE_POINTER_BYTES);
      items += part;
      values += classes.reduce((sum, group) => sum + occurringValues(group, part), 0);
      continue;
    }
    const known = assumptions.distinctKeys ?? null;
    const expected = classes.reduce((sum, group) => sum + occurringValues(group, part), 0);
    const correction = known === null ? 1 : (known * probability) / Math.max(1, expected);
    for (const group of classes) {
      // Never more keys than rows that have them.
      const occurring = Math.min(occurringValues(group, part) * correction, part * group.share * group.values);
      if (occurring === 0) continue;
      const each = bytesOf(tuple, (part * group.share * group.values) / occurring);
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
  const { pages, height } = freshBtree({
    stored,
    keyCount: keys.length,
    rows,
    tableRows: all,
    unique: isUniqueKey,
    grouped,
    fillfactor: DEFAULT_FILLFACTOR,
  });
  return { rows, pages, bytes: pages * PAGE_BYTES, height };
};

/** What a B-tree is made of. */
export interface BtreeContents {
  /** Keys, then INCLUDE columns. */
  readonly stored: readonly SizedColumn[];
  readonly keyCount: number;
  /** Entries, above zero. */
  readonly rows: number;
  /** The table's rows, which shares and negative `n_distinct` refer to. */
  readonly tableRows: number;
  readonly unique: boolean;
  /** Whether equal keys share posting lists. */
  readonly grouped: boolean;
  /** Per cent. */
  readonly fillfactor: number;
}

/** Pages, metapage included, and levels above the leaves that CREATE INDEX would make. */
export const freshBtree = (
  contents: BtreeContents,
  assumptions: Assumptions = {},
): { readonly pages: number; readonly height: number } => {
  const { stored, keyCount, rows, tableRows, unique, grouped, fillfactor } = contents;
  const room = leafBytes(fillfactor);
  const leaves = leafContents(stored, rows, tableRows, grouped, assumptions);
  const { bytes, items } = leaves;
  const average = bytes / items;
  const perPage = Math.max(1, Math.floor(room / average));
  // Where all entries of a page are of one length, what is left of it holds no further one: on every page without a posting list.
  const isFixed = !stored.some((column) => varies(column) || isNullable(column));
  const uniformShare = isFixed ? Math.min(1, items / rows) ** perPage : 0;
  const leafPages = Math.ceil((uniformShare * items) / perPage + ((1 - uniformShare) * bytes) / room);
  const pivot = tupleBytes(stored.slice(0, keyCount), TUPLE_HEADER_BYTES) + (unique ? 0 : 8 * sameKeyShare(leaves));
  const { height, innerPages } = heightAbove(leafPages, fanOutOf(pivot));
  return { pages: 1 + leafPages + innerPages, height };
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
