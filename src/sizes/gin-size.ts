import type { Column } from "../domain/index.ts";
import { widthOf } from "./tuple.ts";
import { elementClasses } from "./elements.ts";

/** What a GIN index's metapage tells the planner. */
export interface GinContents {
  readonly entryPages: number;
  readonly dataPages: number;
  readonly entries: number;
}

export interface GinSize extends GinContents {
  readonly pages: number;
}

/** Longer posting lists move to a tree of their own (`GinMaxItemSize`). */
const LONGEST_INLINE = 2700;
const USABLE_BYTES = 8192 - 24 - 8;
/** Entry pages are split in halves and filled again: measured 0.55 to 0.75. */
const ENTRY_FILL = 0.68;
/** Posting trees grow at their right end: measured. */
const DATA_FILL = 0.8;
/** ginpostinglist.c: row pointers are numbered with 11 bits for the place in the block; each segment of 256 bytes has a header of 8. */
const PLACES_PER_BLOCK = 2048;
const SEGMENT_OVERHEAD = 1 + 8 / 256;

/** Bytes of `count` row pointers as differences of variable length, 7 bits a byte, if they lie at random. */
const postingBytes = (count: number, blocks: number): number => {
  if (count <= 1) return 8;
  if (count > blocks) return (2 * blocks + (count - blocks)) * SEGMENT_OVERHEAD;
  const gap = (PLACES_PER_BLOCK * Math.max(1, blocks)) / count;
  const longer = (bits: number): number => Math.exp(-(2 ** bits) / gap);
  return 8 + (count - 1) * (1 + longer(7) + longer(14) + longer(21) + longer(28)) * SEGMENT_OVERHEAD;
};

const align = (bytes: number): number => Math.ceil(bytes / 8) * 8;

/**
 * Size of a GIN index as CREATE INDEX would leave it, and what its metapage would say (gininsert.c, ginpostinglist.c): an entry per key with its
 * row pointers beside it, or in a posting tree where there are many.
 * @param rows the rows that the index's predicate lets in
 */
export const estimateGinSize = (
  keys: readonly { readonly column: Column; readonly opclass?: string }[],
  rows: number,
  blocks: number,
): GinSize => {
  let entryBytes = 0;
  let dataPages = 0;
  let entries = 0;
  for (const { column, opclass } of keys) {
    const known = elementClasses(column, opclass, rows);
    // Nothing known: ten keys a row, each in ten rows.
    const classes = known.length > 0 ? known : [{ elements: rows, rows: 10, bytes: Math.min(16, widthOf(column)) }];
    for (const one of classes) {
      const bytes = postingBytes(one.rows, blocks);
      const key = align(8 + one.bytes + (keys.length > 1 ? 8 : 1));
      entries += one.elements;
      if (bytes <= LONGEST_INLINE) entryBytes += one.elements * (align(key + bytes) + 4);
      else {
        entryBytes += one.elements * (key + 4);
        const leaves = Math.ceil(bytes / (USABLE_BYTES * DATA_FILL));
        dataPages += one.elements * (leaves > 1 ? leaves + 1 : 1);
      }
    }
  }
  const leaves = Math.max(1, Math.ceil(entryBytes / (USABLE_BYTES * ENTRY_FILL)));
  const entryPages = leaves > 1 ? leaves + Math.ceil(leaves / 150) : 1;
  const data = Math.round(dataPages);
  return { pages: 1 + entryPages + data, entryPages, dataPages: data, entries: Math.max(1, Math.round(entries)) };
};
