import {
  type Catalog,
  type DeclinedCandidate,
  type ExistingIndex,
  type IndexDefinition,
  type IndexMethod,
  type ProposedDrop,
  type Table,
  tableId,
} from "../domain/index.ts";
import { isManaged, isPlainBtree, mayBeDropped, plainKeysOf } from "./existing.ts";
import { isPrefixOf } from "./key-order.ts";

/**
 * Indexes that cost writes and disk while another index of the table offers all they do: exact duplicates of any kind, and plain B-trees whose keys
 * are the first keys of a longer one. Left alone, whatever they look like: unique, primary, constraint, replica identity, clustered,
 * extension-owned, invalid (perhaps being built), and partition indexes. Whether a drop harms a plan is the what-if planner's question.
 */
export const redundantIndexes = (catalog: Catalog): ProposedDrop[] =>
  catalog.tables.flatMap((table) => redundantIndexesOf(table));

/**
 * Existing indexes that the given new ones make redundant: to be dropped once those are built and have proved themselves. Code `replaced`. The same are left
 * alone as above.
 */
export const replacedIndexes = (catalog: Catalog, created: readonly IndexDefinition[]): ProposedDrop[] => {
  const tables = new Map(catalog.tables.map((table) => [tableId(table), table]));
  return created.flatMap((definition) => {
    const keys = definition.keys;
    const isPlain = keys.every((key) => key.expression === undefined && key.opclass === undefined);
    if (definition.method !== "btree" || definition.where !== undefined || !isPlain) return [];
    const table = tables.get(tableId(definition.table));
    if (table === undefined || isManaged(table)) return [];
    const offered = new Set([...keys.map((key) => key.column), ...definition.include]);
    return table.indexes.flatMap((index): ProposedDrop[] => {
      const old = plainKeysOf(index);
      if (!mayBeDropped(index) || !isPlainBtree(index) || old === null || !isPrefixOf(old, keys)) return [];
      if (!index.include.every((column) => offered.has(column))) return [];
      const reason = `the new index on (${keys.map((key) => key.column).join(", ")}) offers all that ${index.name} does`;
      return [{ index, table: definition.table, code: "replaced", reason }];
    });
  });
};

/**
 * Indexes that no scan has used since the counters began, and which stay: the counters do not say for how long, replicas have their own, and a rare
 * query may be vital. Code `unused_not_proved`.
 */
export const unusedIndexes = (table: Table, redundant: ReadonlySet<number>): DeclinedCandidate[] =>
  table.indexes.flatMap((index): DeclinedCandidate[] => {
    const keys = plainKeysOf(index);
    if (index.scans > 0 || redundant.has(index.oid) || !mayBeDropped(index) || keys === null) return [];
    return [
      {
        definition: {
          table: { schema: table.schema, name: table.name },
          method: methods.find((method) => method === index.method) ?? "btree",
          keys,
          include: index.include,
        },
        code: "unused_not_proved",
        reason: `${index.name} (${(index.sizeBytes / 1e6).toFixed(1)} MB) has not been scanned since the counters began; it stays until that has been so for 30 days, on replicas as well`,
        statementIds: [],
      },
    ];
  });

const methods: readonly IndexMethod[] = ["btree", "hash", "gin", "gist", "spgist", "brin"];

const redundantIndexesOf = (table: Table): ProposedDrop[] => {
  if (isManaged(table)) return [];
  const dropped = new Set<number>();
  const drops: ProposedDrop[] = [];
  // The largest first: of two equal indexes the later and larger goes, and what covers is never itself dropped.
  const byAge = table.indexes.toSorted((a, b) => b.sizeBytes - a.sizeBytes || b.oid - a.oid);
  for (const index of byAge) {
    if (!mayBeDropped(index)) continue;
    const covering = table.indexes.find(
      (other) => other.oid !== index.oid && !dropped.has(other.oid) && covers(other, index),
    );
    if (covering === undefined) continue;
    dropped.add(index.oid);
    const duplicate = covers(index, covering);
    drops.push({
      index,
      table: { schema: table.schema, name: table.name },
      code: duplicate ? "duplicate" : "redundant_prefix",
      reason: duplicate
        ? `${covering.name} has the same columns`
        : `${covering.name} begins with the same columns and offers all that this one does`,
    });
  }
  return drops;
};

/** What the server writes after the name: equal texts are equal indexes, whatever their method, expressions and predicate. */
const written = ({ definition }: ExistingIndex): string => definition.replace(/^.*? USING /is, "");

const covers = (covering: ExistingIndex, index: ExistingIndex): boolean => {
  if (!isPlainBtree(covering) || !isPlainBtree(index)) return covering.valid && written(covering) === written(index);
  const keys = plainKeysOf(index);
  const longer = plainKeysOf(covering);
  if (keys === null || longer === null || !isPrefixOf(keys, longer)) return false;
  const offered = new Set([...longer.map((key) => key.column), ...covering.include]);
  return index.include.every((column) => offered.has(column));
};
