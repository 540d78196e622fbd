import {
  chownSync,
  closeSync,
  existsSync,
  openSync,
  readSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { PAGE_BYTES } from "../sizes/index.ts";
import { treeSkeleton, visibilityMap } from "./btree-pages.ts";

/** PostgreSQL cuts a relation's file into segments of 1 GiB. */
const SEGMENT_BLOCKS = 131_072;

const segmentFile = (file: string, segment: number): string => (segment === 0 ? file : `${file}.${String(segment)}`);

/** A new file that the server can open, too: it belongs to whom its neighbour belongs to. */
const createBeside = (neighbour: string, path: string, content: Buffer | string): void => {
  writeFileSync(path, content, { mode: 0o600 });
  const { uid, gid } = statSync(neighbour);
  if (process.getuid?.() === 0) chownSync(path, uid, gid);
};

/** Lets the planner believe the leaf of a table's index without a look at the table's first block. */
export const writeVisibility = (tableFile: string): void => {
  createBeside(tableFile, `${tableFile}_vm`, visibilityMap());
};

/**
 * Gives a relation's file this length without content: sparse, so that terabytes take no space. A server that has the file open sees it at
 * once. Segments are emptied rather than removed, for a backend may hold them open.
 */
export const setLength = (file: string, blocks: number): void => {
  for (let segment = 0, left = blocks; left > 0 || existsSync(segmentFile(file, segment)); segment += 1) {
    const path = segmentFile(file, segment);
    if (!existsSync(path)) createBeside(file, path, "");
    const now = Math.min(left, SEGMENT_BLOCKS);
    truncateSync(path, now * PAGE_BYTES);
    left -= now;
  }
};

/**
 * Makes the file of a B-tree that was just built on an empty table look like a tree of this height and length. Nothing may have planned on the
 * table since the build, or the server still has the old metapage in its buffers.
 */
export const writeTree = (file: string, pages: number, height: number, leaf: Buffer | null): void => {
  if (pages > 1) {
    const descriptor = openSync(file, "r+");
    try {
      const metapage = Buffer.alloc(PAGE_BYTES);
      readSync(descriptor, metapage, 0, PAGE_BYTES, 0);
      const skeleton = treeSkeleton(metapage, height, leaf);
      writeSync(descriptor, skeleton, 0, skeleton.length, 0);
    } finally {
      closeSync(descriptor);
    }
  }
  setLength(file, pages > 1 ? Math.max(pages, height + 2) : 1);
};
