import type { Column } from "../domain/index.ts";
import { widthOf } from "./tuple.ts";

/** CREATE INDEX's default for `pages_per_range`. */
const PAGES_PER_RANGE = 128;
/** brin_revmap.h: item pointers of 6 bytes on a page. */
const RANGES_PER_REVMAP_PAGE = 1360;
const USABLE_BYTES = 8192 - 24 - 8;
/** Tuple header with null bitmap, aligned, and line pointer. */
const TUPLE_BYTES = 8 + 4;

export interface BrinSize {
  readonly pages: number;
  /** Pages that say where each range's summary is; the planner subtracts them. */
  readonly revmapPages: number;
}

/** Size of a BRIN index with minimum and maximum per range, the default operator classes (brin_pageops.c, brin_revmap.c). */
export const estimateBrinSize = (columns: readonly Column[], blocks: number): BrinSize => {
  const ranges = Math.max(1, Math.ceil(blocks / PAGES_PER_RANGE));
  const summary = columns.reduce((sum, column) => sum + 2 * widthOf(column), TUPLE_BYTES);
  const perPage = Math.max(1, Math.floor(USABLE_BYTES / (Math.ceil(summary / 8) * 8 + 4)));
  const revmapPages = Math.ceil(ranges / RANGES_PER_REVMAP_PAGE);
  return { pages: 1 + revmapPages + Math.ceil(ranges / perPage), revmapPages };
};
