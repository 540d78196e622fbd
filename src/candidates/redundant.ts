import type { Catalog, ExistingIndex, ProposedDrop, Table } from "../domain/index.ts";
import { isPlainBtree, plainKeysOf } from "./existing.ts";
import { isPrefixOf } from "./key-order.ts";

/**
 * Indexes that cost writes and disk while another index of the table offers all they do: exact duplicates, and those whose keys are the first
 * keys of a longer index. Left alone, whatever they look like: unique, primary, constraint, replica identity, clustered, extension-owned,
 * invalid (perhaps being built), partial, expression and partition indexes. Whether a drop harms a plan is the what-if planner's question.
 */
export const redundantIndexes = (catalog: Catalog): ProposedDrop[] =>
  catalog.tables.flatMap((table) => redundantIndexesOf(table));

const redundantIndexesOf = (table: Table): ProposedDrop[] => {
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

const mayBeDropped = (index: ExistingIndex): boolean =>
  isPlainBtree(index) &&
  !index.unique &&
  !index.primary &&
  index.constraint === null &&
  !index.exclusion &&
  !index.replicaIdentity &&
  !index.clustered &&
  !index.extensionOwned &&
  index.parentOid === null;

const covers = (covering: ExistingIndex, index: ExistingIndex): boolean => {
  if (!isPlainBtree(covering)) return false;
  const keys = plainKeysOf(index);
  const longer = plainKeysOf(covering);
  if (keys === null || longer === null || !isPrefixOf(keys, longer)) return false;
  const offered = new Set([...longer.map((key) => key.column), ...covering.include]);
  return index.include.every((column) => offered.has(column));
};
