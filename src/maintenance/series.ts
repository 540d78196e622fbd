import type { Bloat, IndexSample } from "../domain/index.ts";
import { indexedRows } from "./bloat.ts";
import type { IndexFacts } from "./reading.ts";

/** What is remembered of one look; null for an index whose file could not be looked at. */
export const sampleOf = (
  index: IndexFacts,
  bloat: Bloat,
  replicaScans: Readonly<Record<string, number>>,
  at: Date,
): IndexSample | null =>
  index.sizeBytes === null
    ? null
    : {
        at,
        indexOid: index.oid,
        fileNode: index.fileNode,
        sizeBytes: index.sizeBytes,
        neededBytes: bloat.kind === "shown" ? bloat.neededBytes : null,
        entries: indexedRows(index),
        bloat: bloat.kind === "shown" ? { share: bloat.share, method: bloat.method } : null,
        scans: index.scans,
        replicaScans,
        tableWrites: index.tableFacts.inserts + index.tableFacts.updates + index.tableFacts.deletes,
        updates: index.tableFacts.updates,
        hotUpdates: index.tableFacts.hotUpdates,
      };

/** The samples since the file was last rewritten (REINDEX, VACUUM FULL, CLUSTER); samples in order of time. */
export const currentSeries = (samples: readonly IndexSample[]): readonly IndexSample[] => {
  const node = samples.at(-1)?.fileNode;
  const before = samples.findLastIndex(({ fileNode }) => fileNode !== node);
  return samples.slice(before + 1);
};

/** A first look later than this after the last at the old file may have missed what came back meanwhile. */
const FRESH_MS = 36 * 3_600_000;
/** Fewer bytes are rounding. */
const FEWEST_BYTES = 25 * 8192;

/**
 * Bytes per row at the first look after the file was last rewritten at which its rows were known; null where no rewrite was seen. Samples in order of time. Works
 * for every access method, for it asks nothing of what is in the pages.
 */
export const ownBaseline = (samples: readonly IndexSample[]): number | null => {
  for (const [i, before] of [...samples.entries()].toReversed()) {
    const node = samples[i + 1]?.fileNode;
    if (node === undefined || node === before.fileNode) continue;
    const fresh = samples.find(
      ({ at, fileNode, entries, sizeBytes }, j) =>
        j > i &&
        fileNode === node &&
        entries !== null &&
        entries > 0 &&
        sizeBytes >= FEWEST_BYTES &&
        at.getTime() - before.at.getTime() <= FRESH_MS,
    );
    if (fresh !== undefined) return fresh.sizeBytes / (fresh.entries ?? 1);
  }
  return null;
};

/** Days from the rewrite of the file until bloat was above the threshold; null where no rewrite was seen, or it stayed below. Samples in order of time. */
export const returnedAfterDays = (samples: readonly IndexSample[], threshold: number): number | null => {
  const series = currentSeries(samples);
  const [first] = series;
  if (first === undefined || series.length === samples.length) return null;
  const above = series.find(({ bloat }) => bloat !== null && bloat.share >= threshold);
  return above === undefined ? null : (above.at.getTime() - first.at.getTime()) / 86_400_000;
};
