import type { Block, HotVerdict, TableCounters } from "../domain/index.ts";
import { difference } from "../statistics/index.ts";

/** The share of updates that were heap-only on one side of a change, and each block's influence on it (Cochran 1977, Sampling Techniques, 3rd ed., eq. 6.9). */
const shareIn = (blocks: readonly TableCounters[]) => {
  const updated = blocks.reduce((sum, one) => sum + one.updated, 0);
  const hot = blocks.reduce((sum, one) => sum + one.hotUpdated, 0);
  const share = hot / updated;
  // With half an update of each kind added: where all were alike, the next need not be (Agresti & Coull 1998, Am. Stat. 52, 119–126).
  const cautious = (hot + 0.5) / (updated + 1);
  return {
    share,
    influence: blocks.map((one) => (one.hotUpdated - share * one.updated) / (updated / blocks.length)),
    binomialVariance: (cautious * (1 - cautious)) / updated,
  };
};

/**
 * The share of heap-only updates of a table before and after a change, and the sequence of intervals of the difference. Blocks are the unit, as for time; the
 * variance is no less than that of as many independent updates. @returns null where the counters of the table were not read
 */
export const judgeHot = (
  before: readonly Block[],
  after: readonly Block[],
  { table, alpha, minimumBlocks }: { readonly table?: number; readonly alpha: number; readonly minimumBlocks: number },
): HotVerdict | null => {
  if (table === undefined || [...before, ...after].every(({ tables }) => tables === undefined)) return null;
  const updatesIn = (blocks: readonly Block[]): readonly TableCounters[] =>
    blocks.flatMap(({ tables }) => tables?.get(table) ?? []).filter(({ updated }) => updated > 0);
  const [early, late] = [updatesIn(before), updatesIn(after)];
  const [one, two] = [shareIn(early), shareIn(late)];
  const shareOf = (blocks: readonly TableCounters[], share: number): number | null =>
    blocks.length > 0 ? share : null;
  const shares = { shareBefore: shareOf(early, one.share), shareAfter: shareOf(late, two.share) };
  if (early.length < minimumBlocks || late.length < minimumBlocks) return { ...shares, change: null, interval: null };
  const change = two.share - one.share;
  const least = Math.sqrt(one.binomialVariance + two.binomialVariance);
  const bounds = difference(change, one.influence, two.influence, least)?.anytimeInterval(1 - alpha);
  return {
    ...shares,
    change,
    interval:
      bounds === undefined ? null : { low: Math.max(-1, bounds.low), high: Math.min(1, bounds.high), level: 1 - alpha },
  };
};
