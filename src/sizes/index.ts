/**
 * How large is an index as CREATE INDEX would leave it?
 *
 * Pure: a table's rows, its columns' statistics and a definition go in; pages, bytes and levels come out, for every access method, with the error that
 * was measured. Nothing here asks a server. Left to others: faking files of that length (`shadow`), what an index has beyond that size (`maintenance`).
 */
export { estimateBrinSize } from "./brin-size.ts";
export {
  type Assumptions,
  columnOf,
  currentRows,
  estimateBtreeHeight,
  estimateBtreeSize,
  freshBtree,
} from "./btree-size.ts";
export { distinctFromSample } from "./elements.ts";
export type { ExpressionType } from "./expression.ts";
export { estimateGinSize, type GinContents } from "./gin-size.ts";
export { estimateIndexSize, type IndexSize } from "./index-size.ts";
export { PAGE_BYTES } from "./page.ts";
export { type SizeError, sizeErrorOf } from "./size-error.ts";
export { type SizedColumn } from "./tuple.ts";
