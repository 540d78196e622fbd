import { pairedDifference } from "./difference.ts";
import type { Bounds } from "./estimate.ts";
import { bucketEnd, type LatencyHistogram } from "./latency-histogram.ts";

/**
 * A confidence sequence for the p-quantile of calls whose blocks may be autocorrelated, in the values' unit: all its intervals hold at once with probability
 * `level`. x is left out once the share of calls that are at most x is shown to differ from p (Woodruff 1952, J. Am. Statist. Ass. 47, 635–646; sequential:
 * Howard & Ramdas 2022, Bernoulli 28, 1704–1728), the share's variance from blocks, and never below that of independent calls.
 * @returns null while no value can be left out on one of the sides
 */
export const sequentialQuantile = (
  blocks: readonly LatencyHistogram[],
  p: number,
  level: number,
): (Bounds & { readonly estimate: number }) | null => {
  const sizes = blocks.map((block) => sum(block.values()));
  const total = sum(sizes);
  const buckets = [...new Set(blocks.flatMap((block) => [...block.keys()]))].sort((a, b) => a - b);
  const below = blocks.map(() => 0);
  const leastStandardError = Math.sqrt((p * (1 - p)) / total);
  let low: number | null = null;
  let high: number | null = null;
  let estimate: number | null = null;
  for (const bucket of buckets) {
    for (const [i, block] of blocks.entries()) below[i] = (below[i] ?? 0) + (block.get(bucket) ?? 0);
    const share = sum(below) / total;
    if (share >= p) estimate ??= bucketEnd(bucket);
    const influence = sizes.map((size, i) => (((below[i] ?? 0) - share * size) * blocks.length) / total);
    const shown = pairedDifference(share - p, influence, leastStandardError);
    if (shown === null || shown.anytimePValue > 1 - level) continue;
    if (share < p) low = bucketEnd(bucket);
    else high ??= bucketEnd(bucket);
  }
  return low === null || high === null || estimate === null ? null : { low, high, estimate };
};

const sum = (values: Iterable<number>): number => {
  let total = 0;
  for (const value of values) total += value;
  return total;
};
