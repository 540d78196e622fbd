import type { ExistingIndex, IndexDefinition, IndexKey, Table } from "../domain/index.ts";
import { isPrefixOf } from "./key-order.ts";

/** The keys of an index made of plain columns, or null where a key is an expression. */
export const plainKeysOf = (index: ExistingIndex): IndexKey[] | null => {
  const keys: IndexKey[] = [];
  for (const [position, column] of index.keys.entries()) {
    if (column === null) return null;
    const direction = index.directions[position] ?? "asc";
    keys.push({ column, direction, nulls: index.nulls[position] ?? (direction === "asc" ? "last" : "first") });
  }
  return keys;
};

/**
 * Whether an index can answer whatever a B-tree over plain columns of its table could ask of it: valid, over all rows, default operator classes
 * and collations.
 */
export const isPlainBtree = (index: ExistingIndex): boolean =>
  index.valid && index.method === "btree" && index.predicate === null && index.plainKeys;

/**
 * The existing index that offers all that the definition would, or null.
 * @param wholeServes whether an index of all rows does what the partial one would, a little larger
 */
export const indexThatCovers = (
  table: Table,
  definition: IndexDefinition,
  wholeServes: boolean,
): ExistingIndex | null => table.indexes.find((index) => offers(index, definition, wholeServes)) ?? null;

const offers = (index: ExistingIndex, definition: IndexDefinition, wholeServes: boolean): boolean => {
  if (!index.valid || index.method !== definition.method) return false;
  if (index.predicate === null && definition.where !== undefined && !wholeServes) return false;
  if (index.predicate !== null && bare(index.predicate) !== bare(definition.where ?? "")) return false;
  const keys = plainKeysOf(index);
  if (definition.method !== "btree" || !definition.keys.every(isPlain) || !index.plainKeys || keys === null) {
    return index.include.length === 0 && definition.include.length === 0 && sameWritten(index, definition);
  }
  if (!isPrefixOf(definition.keys, keys)) return false;
  const offered = new Set([...keys.map((key) => key.column), ...index.include]);
  return definition.include.every((column) => offered.has(column));
};

/** Tables that an extension has taken over are its own to change. */
export const isManaged = ({ managedBy }: Table): boolean => managedBy !== undefined && managedBy !== null;

/** Whether the index serves nothing but speed, so that it may go where another one does what it does. */
export const mayBeDropped = (index: ExistingIndex): boolean =>
  index.valid &&
  !index.unique &&
  !index.primary &&
  index.constraint === null &&
  !index.exclusion &&
  !index.replicaIdentity &&
  !index.clustered &&
  !index.extensionOwned &&
  index.parentOid === null;

/**
 * The existing B-tree with the very same keys that the definition would only add INCLUDE columns to, and that has to stay; or null. Both beside each other would
 * make every write pay twice for one order. One that may go is replaced by the wider one.
 */
export const fixedIndexWithSameKeys = (table: Table, definition: IndexDefinition): ExistingIndex | null => {
  const { method, keys, include, where } = definition;
  if (method !== "btree" || where !== undefined || include.length === 0 || !keys.every(isPlain)) return null;
  const same = (index: ExistingIndex): boolean => {
    const old = plainKeysOf(index);
    return isPlainBtree(index) && old !== null && old.length === keys.length && isPrefixOf(keys, old);
  };
  const isFixed = (index: ExistingIndex): boolean => isManaged(table) || !mayBeDropped(index);
  return table.indexes.find((index) => same(index) && isFixed(index)) ?? null;
};

const isPlain = (key: IndexKey): boolean => key.expression === undefined && key.opclass === undefined;

// Expressions and operator classes are known from the definition's text only, where the server writes them in one way.
const sameWritten = (index: ExistingIndex, { keys }: IndexDefinition): boolean => {
  if (index.keys.length !== keys.length) return false;
  return keys.every((key, position) => {
    const column = index.keys[position] ?? null;
    if ((key.expression === undefined ? key.column : null) !== column) return false;
    if (key.expression !== undefined && !index.definition.includes(bare(key.expression))) return false;
    if (key.opclass !== undefined) return new RegExp(`[ .]"?${key.opclass}\\b`).test(index.definition);
    return column === null ? !/_ops\b/.test(index.definition) : index.plainKeys;
  });
};

/** Without the parentheses around the whole, which some places write and others do not. */
const bare = (expression: string): string => {
  const inner = /^\((.*)\)$/s.exec(expression)?.[1];
  if (inner === undefined) return expression;
  let depth = 0;
  for (const letter of inner) {
    if (letter === "(") depth += 1;
    if (letter === ")") depth -= 1;
    if (depth < 0) return expression;
  }
  return bare(inner);
};
