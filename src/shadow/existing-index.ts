import type { ExistingIndex, Table } from "../domain/index.ts";
import {
  columnOf,
  currentRows,
  estimateBrinSize,
  estimateBtreeHeight,
  estimateGinSize,
  type GinContents,
} from "../sizes/index.ts";
import { writeBrin, writeGin } from "./metapages.ts";
import { setLength, writeTree } from "./storage.ts";

const namedOpclass = /\b(gin_trgm_ops|jsonb_path_ops)\b/;

/** How an existing GIN index's pages divide into entries and posting trees, as a new one's would; null where its keys tell nothing. */
const ginContents = (table: Table, index: ExistingIndex, pages: number): GinContents | null => {
  if (index.predicate !== null || pages < 3) return null;
  const [, opclass] = namedOpclass.exec(index.definition) ?? [];
  const keys = index.keys.flatMap((key) =>
    key === null ? [] : [{ column: columnOf(table, key), ...(opclass === undefined ? {} : { opclass }) }],
  );
  if (keys.length !== index.keys.length) return null;
  const fresh = estimateGinSize(keys, currentRows(table), table.blocks);
  const used = Math.max(1, pages - 1 - (index.pendingPages ?? 0));
  const entryPages = Math.max(1, Math.round((fresh.entryPages * used) / (fresh.pages - 1)));
  return { entryPages, dataPages: Math.max(0, used - entryPages), entries: fresh.entries };
};

/**
 * Makes the file of an index that was just built on an empty table look like the target's: its length, and what the planner reads in it.
 * @param leaf the leaf of a B-tree, if it shall tell the ends of its leading column
 */
export const writeExistingIndex = (
  file: string,
  table: Table,
  index: ExistingIndex,
  pages: number,
  leaf: Buffer | null,
): void => {
  if (index.method === "btree") {
    writeTree(file, pages, estimateBtreeHeight(table, index, pages), leaf);
  } else if (index.method === "gin") {
    const contents = ginContents(table, index, pages);
    // Without contents that fit its length, the planner assumes some itself.
    if (contents === null) setLength(file, pages);
    else writeGin(file, pages, contents, index.pendingPages);
  } else if (index.method === "brin" && pages >= 3) {
    writeBrin(file, pages, estimateBrinSize([], table.blocks).revmapPages);
  } else {
    setLength(file, pages);
  }
};
