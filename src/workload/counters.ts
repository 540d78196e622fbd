import type { StatementCounters } from "../domain/index.ts";

// Σ t² over the calls: n (σ² + μ²). Unlike σ it can be added and subtracted.
const squares = ({ calls, totalMs, stddevMs }: StatementCounters): number | null =>
  stddevMs === null || calls === 0 ? null : calls * stddevMs ** 2 + totalMs ** 2 / calls;

const additive = (a: StatementCounters, b: StatementCounters, sign: 1 | -1): Omit<StatementCounters, "stddevMs"> => ({
  calls: a.calls + sign * b.calls,
  totalMs: a.totalMs + sign * b.totalMs,
  rows: a.rows + sign * b.rows,
  sharedBlocksHit: a.sharedBlocksHit + sign * b.sharedBlocksHit,
  sharedBlocksRead: a.sharedBlocksRead + sign * b.sharedBlocksRead,
  tempBlocks: a.tempBlocks + sign * b.tempBlocks,
  walBytes: a.walBytes + sign * b.walBytes,
});

/**
 * σ of `calls` values from their sum and sum of squares. A difference of large cumulative sums of squares may have no digits left; null when the
 * rounding of doubles could make up more than a hundredth of the variance.
 */
const deviation = (calls: number, totalMs: number, sum: number | null, largest: number): number | null => {
  if (calls === 1) return 0;
  if (sum === null || calls < 1) return null;
  const variance = sum / calls - (totalMs / calls) ** 2;
  const rounding = (8 * Number.EPSILON * largest) / calls;
  return variance > 100 * rounding ? Math.sqrt(variance) : largest === 0 ? 0 : null;
};

/** What happened between two readings of the same counters. */
export const difference = (after: StatementCounters, before: StatementCounters): StatementCounters => {
  const rest = additive(after, before, -1);
  const [late, early] = [squares(after), before.calls === 0 ? 0 : squares(before)];
  const sum = late === null || early === null ? null : late - early;
  return { ...rest, stddevMs: deviation(rest.calls, rest.totalMs, sum, late ?? 0) };
};

/** The counters of two sets of calls together. */
export const combined = (a: StatementCounters, b: StatementCounters): StatementCounters => {
  const rest = additive(a, b, 1);
  const [one, other] = [squares(a), squares(b)];
  const sum = one === null || other === null ? null : one + other;
  return { ...rest, stddevMs: deviation(rest.calls, rest.totalMs, sum, sum ?? 0) };
};

/** True where a counter that can only grow has become smaller: it was started anew in between. */
export const wentBack = (after: StatementCounters, before: StatementCounters): boolean =>
  after.calls < before.calls || after.totalMs < before.totalMs || after.rows < before.rows;
