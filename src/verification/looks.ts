import type { Verdict } from "../domain/index.ts";

/** Whether nothing more needs to be measured. */
export const isDecided = (verdict: Verdict): boolean => verdict.outcome !== "undecided";

/**
 * After how many sound blocks since the change the k-th look is due: 5, 8, 12, 17, 26… for a minimum of 5. Any schedule is
 * valid, but each look spends a part of alpha; half as many blocks again between looks wastes least when nobody knows how
 * large the change is.
 */
export const blocksForLook = (look: number, minimumBlocks = 5): number => Math.ceil(minimumBlocks * 1.5 ** (look - 1));
