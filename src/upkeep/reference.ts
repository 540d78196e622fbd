import type { WriteCosts } from "./measure.ts";

/**
 * What `measureWriteCosts` found on one machine (majors 15 and 18, nothing else running). Advice starts from these numbers and
 * scales them to the target's own times, so that the same input gives the same answer on every machine; a measurement of one's own is asked for.
 */
export const referenceWriteCosts: WriteCosts = {
  insertMs: 0.0043,
  entries: {
    btree: { ms: 0.0011, walBytes: 64, buildMs: 0.0004 },
    "wide btree": { ms: 0.0014, walBytes: 85, buildMs: 0.00045 },
    hash: { ms: 0.0007, walBytes: 73, buildMs: 0.0007 },
    gin: { ms: 0.004, walBytes: 440, buildMs: 0.0016 },
    "text search": { ms: 0.0055, walBytes: 260, buildMs: 0.006 },
    gist: { ms: 0.0026, walBytes: 125, buildMs: 0.0016 },
    spgist: { ms: 0.0016, walBytes: 202, buildMs: 0.0014 },
    brin: { ms: 0.0002, walBytes: 5, buildMs: 0.0003 },
  },
  lostHotMs: 0,
  rows: 20_000,
};
