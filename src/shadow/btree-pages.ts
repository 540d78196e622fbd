/**
 * PostgreSQL's B-tree pages as bytes (nbtree.h, itup.h, bufpage.h; the same in 14 to 18). Little-endian, as every platform that the
 * embedded binaries exist for.
 */

import { PAGE_BYTES } from "../sizes/index.ts";

const HEADER_BYTES = 24;
const SPECIAL_BYTES = 16;
const SPECIAL_OFFSET = PAGE_BYTES - SPECIAL_BYTES;
const LINE_POINTER_BYTES = 4;

// BTMetaPageData begins where a page's contents do.
const META_MAGIC = HEADER_BYTES;
const META_ROOT = HEADER_BYTES + 8;
const META_LEVEL = HEADER_BYTES + 12;
const META_FAST_ROOT = HEADER_BYTES + 16;
const META_FAST_LEVEL = HEADER_BYTES + 20;
const MAGIC = 0x05_31_62;

const BTP_LEAF = 1;
const BTP_ROOT = 2;

/** Page size and layout version in one word, as in every page header since 8.3. */
const SIZE_AND_VERSION = PAGE_BYTES | 4;

/** A downlink that sorts before every key: an index tuple without attributes, INDEX_ALT_TID_MASK set. */
const PIVOT_BYTES = 8;
const INDEX_ALT_TID_MASK = 0x2000;
const LP_NORMAL = 1;

const emptyPage = (level: number, flags: number): Buffer => {
  const page = Buffer.alloc(PAGE_BYTES);
  page.writeUInt16LE(HEADER_BYTES, 12);
  page.writeUInt16LE(SPECIAL_OFFSET, 14);
  page.writeUInt16LE(SPECIAL_OFFSET, 16);
  page.writeUInt16LE(SIZE_AND_VERSION, 18);
  page.writeUInt32LE(level, SPECIAL_OFFSET + 8);
  page.writeUInt16LE(flags, SPECIAL_OFFSET + 12);
  return page;
};

const innerPage = (level: number, flags: number, child: number): Buffer => {
  const page = emptyPage(level, flags);
  const offset = SPECIAL_OFFSET - PIVOT_BYTES;
  page.writeUInt16LE(HEADER_BYTES + LINE_POINTER_BYTES, 12);
  page.writeUInt16LE(offset, 14);
  page.writeUInt32LE((offset | (LP_NORMAL << 15) | (PIVOT_BYTES << 17)) >>> 0, HEADER_BYTES);
  page.writeUInt16LE(child >>> 16, offset);
  page.writeUInt16LE(child & 0xffff, offset + 2);
  page.writeUInt16LE(PIVOT_BYTES | INDEX_ALT_TID_MASK, offset + 6);
  return page;
};

const leafPage = (flags: number, content: Buffer | null): Buffer => {
  const page = content === null ? emptyPage(0, 0) : Buffer.from(content);
  page.writeUInt16LE(BTP_LEAF | flags, SPECIAL_OFFSET + 12);
  return page;
};

/** A visibility map that calls the first block of a table all-visible, so that nobody looks for rows in it (visibilitymap.c). */
export const visibilityMap = (): Buffer => {
  const page = Buffer.alloc(PAGE_BYTES);
  page.writeUInt16LE(HEADER_BYTES, 12);
  page.writeUInt16LE(PAGE_BYTES, 14);
  page.writeUInt16LE(PAGE_BYTES, 16);
  page.writeUInt16LE(SIZE_AND_VERSION, 18);
  page.writeUInt8(1, HEADER_BYTES);
  return page;
};

/**
 * The first blocks of a B-tree of this height: the given metapage (of an index built on an empty table) pointing to a chain of one page per
 * level, root first, the leaf last.
 * @param height levels above the leaves
 * @param leaf the only leaf of another B-tree with the same columns; else an empty one
 */
export const treeSkeleton = (metapage: Buffer, height: number, leaf: Buffer | null): Buffer => {
  const meta = Buffer.from(metapage);
  if (meta.length !== PAGE_BYTES || meta.readUInt32LE(META_MAGIC) !== MAGIC) throw new Error("not a B-tree's metapage");
  meta.writeUInt32LE(1, META_ROOT);
  meta.writeUInt32LE(height, META_LEVEL);
  meta.writeUInt32LE(1, META_FAST_ROOT);
  meta.writeUInt32LE(height, META_FAST_LEVEL);
  const pages: Buffer[] = [meta];
  for (let level = height; level >= 0; level -= 1) {
    const root = level === height ? BTP_ROOT : 0;
    pages.push(level === 0 ? leafPage(root, leaf) : innerPage(level, root, pages.length + 1));
  }
  return Buffer.concat(pages);
};
