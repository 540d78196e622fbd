/** BLCKSZ of every build we support. */
export const PAGE_BYTES = 8192;
