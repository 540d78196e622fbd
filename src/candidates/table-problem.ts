import type { Table } from "../domain/index.ts";

/**
 * Reading ten blocks in order costs about as much as two random pages, which is what the shortest index look-up reads (default
 * `seq_page_cost` 1, `random_page_cost` 4): below that, an index cannot pay for its writes.
 */
const tinyBlocks = 10;
const tinyRows = 1_000;

/** Why this table gets no candidates, or null when it may. */
export const tableProblem = (table: Table): { readonly code: string; readonly reason: string } | null => {
  if (table.kind === "partitioned" || table.partitionBound !== null) {
    return {
      code: "partitioned_not_supported_yet",
      reason: "indexes on partitioned tables are not proposed by this version",
    };
  }
  if (table.kind === "materialized view") {
    return {
      code: "materialized_view_not_supported_yet",
      reason: "indexes on materialized views are not proposed by this version",
    };
  }
  if (table.blocks < tinyBlocks || (table.tuples >= 0 && table.tuples < tinyRows)) {
    const rows = table.tuples >= 0 ? `${String(Math.round(table.tuples))} rows, ` : "";
    return {
      code: "tiny_table",
      reason: `the table is read whole faster than an index (${rows}${String(table.blocks)} blocks)`,
    };
  }
  return null;
};
