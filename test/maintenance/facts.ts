import type { IndexFacts } from "../../src/maintenance/index.ts";

interface Wanted {
  readonly rows: number;
  readonly sizeBytes: number;
  readonly distinct?: number;
  readonly fillfactor?: number;
}

/** A plain B-tree over one integer column with fresh statistics. */
export const factsOf = ({ rows, sizeBytes, distinct = -1, fillfactor = 90 }: Wanted): IndexFacts => ({
  oid: 1,
  schema: "public",
  name: "t_a",
  tableOid: 2,
  table: "t",
  method: "btree",
  fileNode: 1,
  sizeBytes,
  entries: rows,
  unique: false,
  valid: true,
  partial: false,
  expression: false,
  keyCount: 1,
  stored: [
    {
      name: "a",
      baseType: "int4",
      maxBytes: 4,
      statistics: { nullFraction: 0, averageWidth: 4, distinct, mostCommonFrequencies: null },
      inheritedStatistics: null,
      longest: null,
      meanLength: null,
    },
  ],
  deduplicates: true,
  storesOtherwise: false,
  fillfactor,
  combinations: null,
  scans: 0,
  tableFacts: {
    tuples: rows,
    pages: Math.ceil(rows / 100),
    liveTuples: rows,
    modificationsSinceAnalyze: 0,
    analyzedAt: new Date(0),
    inserts: 0,
    updates: 0,
    hotUpdates: 0,
    deletes: 0,
    sampleRows: 30_000,
  },
});
