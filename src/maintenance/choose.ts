import type { Bloat } from "../domain/index.ts";

/** What a run of rebuilds may take. */
export interface RebuildLimits {
  readonly indexes: number;
  /** Of one index as it is now. */
  readonly indexBytes: number;
  readonly totalBytes: number;
}

/** Less than this is not worth a rebuild's locks. */
const FEWEST_BYTES = 1_000_000;
/** What a rebuild has to give back, for good, of each byte that it moves once. */
const LEAST_RETURN = 0.01;
/** An index that was above the threshold again so soon after its last rebuild will be so again: the cause is what to change. */
const SOON_DAYS = 7;

export interface RebuildCandidate {
  readonly oid: number;
  readonly name: string;
  readonly method: string;
  readonly sizeBytes: number;
  readonly tableBytes: number;
  readonly bloat: Bloat;
  /** Whether its table's mode lets it be rebuilt. */
  readonly mayBeBuilt: boolean;
  /** Whether something else than a rebuild is to be done with it: it is redundant, unused, invalid. */
  readonly leaves: boolean;
  /** Days from its last rebuild until it was above the threshold; null where none was seen. */
  readonly returnedAfterDays: number | null;
}

export interface Choice {
  readonly oid: number;
  readonly name: string;
  readonly sizeBytes: number;
  readonly neededBytes: number;
  /** The share that is bloat. */
  readonly bloat: number;
  /** What is given back for each byte that the rebuild writes, to the file and to the WAL, or reads: the table, to build and once more to validate. */
  readonly returnPerByte: number;
}

export interface DeclinedRebuild {
  readonly oid: number;
  readonly name: string;
  readonly code:
    | "mode"
    | "leaves"
    | "method"
    | "returns_too_soon"
    | "too_little"
    | "costs_more"
    | "too_large"
    | "run_is_full"
    | "impossible";
  readonly reason: string;
}

/**
 * Which indexes to rebuild in one run: those above the threshold, first those that give back most for each byte moved, within the limits. Indexes whose bloat
 * is withheld are no candidates. Pure.
 */
export const chooseRebuilds = (
  candidates: readonly RebuildCandidate[],
  threshold: number,
  limits: RebuildLimits,
): { readonly chosen: readonly Choice[]; readonly declined: readonly DeclinedRebuild[] } => {
  const declined: DeclinedRebuild[] = [];
  const due = candidates.flatMap((one): Choice[] => {
    const { oid, name, bloat, sizeBytes, tableBytes } = one;
    if (bloat.kind === "withheld" || bloat.share < threshold) return [];
    const decline = (code: DeclinedRebuild["code"], reason: string): Choice[] => {
      declined.push({ oid, name, code, reason });
      return [];
    };
    if (!one.mayBeBuilt) return decline("mode", "the table's mode lets nothing be changed");
    if (one.leaves) return decline("leaves", "it is redundant, unused or invalid: it should go, not be rebuilt");
    if (one.method === "brin") return decline("method", "a BRIN index is summarised anew by brin_summarize_new_values");
    if (one.returnedAfterDays !== null && one.returnedAfterDays < SOON_DAYS) {
      const days = one.returnedAfterDays.toFixed(1);
      return decline(
        "returns_too_soon",
        `it was bloated again ${days} days after its last rebuild: change the cause (random keys, a lower fillfactor, autovacuum_vacuum_scale_factor of its table)`,
      );
    }
    const given = sizeBytes - bloat.neededBytes;
    if (given < FEWEST_BYTES) return decline("too_little", "it would give back less than 1 MB");
    const { neededBytes } = bloat;
    const returnPerByte = given / Math.max(1, 2 * neededBytes + 2 * tableBytes);
    if (returnPerByte < LEAST_RETURN)
      return decline(
        "costs_more",
        "its table is so large that a rebuild would move a hundred times what it gives back",
      );
    if (sizeBytes > limits.indexBytes) return decline("too_large", "it is larger than one rebuild may be");
    return [{ oid, name, sizeBytes, neededBytes, bloat: bloat.share, returnPerByte }];
  });
  const chosen: Choice[] = [];
  let bytes = 0;
  for (const one of due.toSorted((a, b) => b.returnPerByte - a.returnPerByte || b.sizeBytes - a.sizeBytes)) {
    if (chosen.length < limits.indexes && bytes + one.sizeBytes <= limits.totalBytes) {
      chosen.push(one);
      bytes += one.sizeBytes;
    } else
      declined.push({
        oid: one.oid,
        name: one.name,
        code: "run_is_full",
        reason: "others give back more for what they move; the next run takes it",
      });
  }
  return { chosen, declined };
};
