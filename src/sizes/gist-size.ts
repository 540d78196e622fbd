import type { Column } from "../domain/index.ts";
import { widthOf } from "./tuple.ts";
import { PAGE_BYTES } from "./page.ts";

const USABLE_BYTES = PAGE_BYTES - 24 - 16;
const align = (bytes: number): number => Math.ceil(bytes / 8) * 8;

/** Bytes of a leaf's key by operator class, where it is not the column's own value (the access methods' compress functions). */
const gistKeyBytes = (column: Column, opclass: string | undefined): number => {
  const type = column.baseType;
  if (type === "point" || type === "circle" || type === "polygon" || type === "box") return 32;
  if (type === "inet" || type === "cidr") return 12;
  // Sets of 4-byte hash codes, of about 13 bytes of tsvector each; long ones become signatures of 124 bytes.
  if (type === "tsvector") return Math.min(124, 4 * (widthOf(column) / 13)) + 8;
  if (opclass === "gist_trgm_ops") return 3 * widthOf(column) + 8;
  // btree_gist keeps a lowest and a highest value.
  return type.endsWith("range") ? widthOf(column) : 2 * widthOf(column);
};

/** Pages of inner levels add about this share. */
const INNER_SHARE = 1.02;
/** Filled by insertion (gistutil.c): measured 0.56 to 0.75. */
const GIST_FILL = 0.66;

/** Pages of a GiST index as CREATE INDEX would leave it. */
export const estimateGistPages = (
  keys: readonly { readonly column: Column; readonly opclass?: string }[],
  include: readonly Column[],
  rows: number,
): number => {
  const bytes =
    keys.reduce((sum, one) => sum + gistKeyBytes(one.column, one.opclass), 0) +
    include.reduce((sum, column) => sum + widthOf(column), 0);
  const leaves = Math.max(1, (rows * (align(8 + bytes) + 4)) / (USABLE_BYTES * GIST_FILL));
  return Math.ceil(leaves > 1 ? leaves * INNER_SHARE + 1 : 1);
};

/** A tree split by the data's own structure: measured. */
const SPGIST_FILL = 0.76;
/** Ranges overlap, and their quadrants fill unevenly. */
const SPGIST_RANGE_FILL = 0.38;

/** Pages of an SP-GiST index as CREATE INDEX would leave it: metapage, root, null root, leaves (spgist_private.h). */
export const estimateSpgistPages = (column: Column, rows: number): number => {
  const isRange = column.baseType.endsWith("range");
  // A text's leaf keeps only what the path to it does not say.
  const bytes = column.maxBytes === null && !isRange ? widthOf(column) / 2 : widthOf(column);
  const entry = 16 + align(bytes) + 4;
  return 3 + Math.ceil((rows * entry) / (USABLE_BYTES * (isRange ? SPGIST_RANGE_FILL : SPGIST_FILL)));
};
