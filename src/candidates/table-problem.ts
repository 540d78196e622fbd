import { type Catalog, type Table, tableId } from "../domain/index.ts";

/**
 * Reading ten blocks in order costs about as much as two random pages, which is what the shortest index look-up reads (default
 * `seq_page_cost` 1, `random_page_cost` 4): below that, an index cannot pay for its writes.
 */
const tinyBlocks = 10;
const tinyRows = 1_000;

/** Rows and blocks; of a partitioned table, those of its partitions at all levels. */
export const tableExtent = (table: Table, catalog: Catalog): { readonly tuples: number; readonly blocks: number } => {
  if (table.kind !== "partitioned") return table;
  const parts = catalog.tables
    .filter((one) => one.parents.some((parent) => tableId(parent) === tableId(table)))
    .map((one) => tableExtent(one, catalog));
  return {
    tuples: parts.reduce((sum, part) => sum + Math.max(0, part.tuples), 0),
    blocks: parts.reduce((sum, part) => sum + part.blocks, 0),
  };
};

/** Why this table gets no candidates, or null when it may. */
export const tableProblem = (
  table: Table,
  { tuples, blocks }: { readonly tuples: number; readonly blocks: number },
): { readonly code: string; readonly reason: string } | null => {
  if (table.partitionBound !== null) {
    const parent = table.parents[0]?.name ?? "the partitioned table";
    return { code: "partition", reason: `an index belongs on ${parent}, so that every partition gets it` };
  }
  if (table.kind === "materialized view") {
    return {
      code: "materialized_view_not_supported_yet",
      reason: "indexes on materialized views are not proposed by this version",
    };
  }
  if (blocks < tinyBlocks || (tuples >= 0 && tuples < tinyRows)) {
    const rows = tuples >= 0 ? `${String(Math.round(tuples))} rows, ` : "";
    return {
      code: "tiny_table",
      reason: `the table is read whole faster than an index (${rows}${String(blocks)} blocks)`,
    };
  }
  return null;
};

/** Why the rollout cannot build an index on this table, so that it is only advised; null where it can. */
export const whyNotBuildable = (table: Table): string | null => {
  if (table.managedBy !== undefined && table.managedBy !== null)
    return `${table.managedBy} manages this table: only its own commands may change it`;
  return null;
};
