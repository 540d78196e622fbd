import type { Interval, Outcome, Verdict } from "../domain/index.ts";
import type { Estimate } from "../statistics/index.ts";

/** The one rule from an interval to an outcome. Equivalence first: a change too small to matter is none, however certain. */
export const outcomeOf = (interval: Interval | null, margin: number): Outcome => {
  if (interval === null) return "undecided";
  if (interval.low >= -margin && interval.high <= margin) return "equivalent";
  if (interval.high < 0) return "better";
  if (interval.low > 0) return "worse";
  return "undecided";
};

/** From logarithms to relative changes; null when it is too wide to be written down. */
export const intervalOf = (estimate: Estimate | null, alpha: number): Interval | null => {
  if (estimate === null) return null;
  const { low, high } = estimate.anytimeInterval(1 - alpha);
  const interval = { low: Math.expm1(low), high: Math.expm1(high), level: 1 - alpha };
  return Number.isFinite(interval.high) ? interval : null;
};

/** Whether nothing more needs to be measured. */
export const isDecided = (verdict: Pick<Verdict, "outcome">): boolean => verdict.outcome !== "undecided";
