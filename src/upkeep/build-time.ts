import type { IndexMethod } from "../domain/index.ts";
import { referenceWriteCosts } from "./reference.ts";

/**
 * Milliseconds that building an index of so many entries takes on the machine of reference, where only its method is known: sorting n takes n log n. The order of
 * magnitude, for a window to be chosen by.
 */
export const roughBuildMs = (method: IndexMethod, entries: number): number => {
  const { entries: costs, rows } = referenceWriteCosts;
  const count = Math.max(1, entries);
  return count * costs[method].buildMs * Math.max(1, Math.log2(count) / Math.log2(rows));
};
