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

/** The existing index that offers all that the definition would, or null. */
export const indexThatCovers = (table: Table, definition: IndexDefinition): ExistingIndex | null => {
  for (const index of table.indexes) {
    if (!isPlainBtree(index)) continue;
    const keys = plainKeysOf(index);
    if (keys === null || !isPrefixOf(definition.keys, keys)) continue;
    const offered = new Set([...keys.map((key) => key.column), ...index.include]);
    if (definition.include.every((column) => offered.has(column))) return index;
  }
  return null;
};
