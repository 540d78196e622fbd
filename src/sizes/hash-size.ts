import type { Column } from "../domain/index.ts";
import { frequencyClasses } from "./frequency.ts";
import { nullFractionOf } from "./tuple.ts";

/** `_hash_init`: 75 % of a page by entries of 20 bytes (header, 4-byte hash code, alignment, line pointer). */
const ENTRIES_PER_BUCKET = 307;
/** What a bucket's or overflow page holds at most: 8192 − 24 − 16 bytes by 20. */
const ENTRIES_PER_PAGE = 407;
/** hash.h: up to 2^10 buckets they double at once, then a quarter of a doubling at a time. */
const WHOLE_DOUBLINGS = 10;

const bucketsFor = (rows: number): number => {
  const wanted = Math.max(2, Math.floor(rows / ENTRIES_PER_BUCKET));
  const doublings = Math.ceil(Math.log2(wanted));
  if (doublings <= WHOLE_DOUBLINGS) return 2 ** doublings;
  const below = 2 ** (doublings - 1);
  return below + Math.ceil((wanted - below) / (below / 4)) * (below / 4);
};

/**
 * Pages of a hash index as CREATE INDEX would leave it (hashpage.c): metapage, bitmap, buckets by the table's row count (nulls and a predicate
 * do not reduce them), and overflow pages of values that do not fit their bucket.
 * @param tableRows the planner's count, which the build goes by
 * @param rows the rows that the index's predicate lets in
 */
export const estimateHashPages = (column: Column, tableRows: number, rows: number): number => {
  const buckets = bucketsFor(tableRows);
  const entries = rows * (1 - nullFractionOf(column));
  const load = entries / buckets;
  let overflow = 0;
  for (const { values, share } of frequencyClasses(column, tableRows)) {
    const each = share * entries;
    // The rest of a bucket's load comes on top of a common value.
    if (each > load) overflow += values * Math.max(0, Math.ceil((each + load) / ENTRIES_PER_PAGE) - 1);
  }
  return 2 + buckets + Math.round(overflow);
};
