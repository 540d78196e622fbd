import { anytimeQuantile, type EffectPrior, logEValue } from "./anytime.ts";
import { studentQuantile, studentTwoSided } from "./student.ts";

export interface Bounds {
  readonly low: number;
  readonly high: number;
}

/** An estimate with its standard error and the degrees of freedom of Student's t that go with it. */
export interface Estimate {
  readonly value: number;
  readonly standardError: number;
  readonly degreesOfFreedom: number;
  /** Two-sided p-value of "the true value is zero", for a single look laid down beforehand. */
  readonly pValue: number;
  /** For a single look laid down beforehand. */
  interval(level: number): Bounds;
  /** 1 / e-value, at most 1: a p-value that may be looked at all the time. See `logEValue`. */
  readonly anytimePValue: number;
  /** One of a sequence of intervals that all hold at once with probability `level`, whenever they are looked at. */
  anytimeInterval(level: number): Bounds;
  /** The same where the value may be off by as much as `by` for a reason that is not noise: wider intervals, and p-values of "the true value is within ± `by`". */
  allowing(by: number): Estimate;
}

/** Below this many degrees of freedom t's quantiles are meaninglessly large: there is no evidence yet. */
const minimumDegreesOfFreedom = 0.2;

/** @param information how many independent blocks the estimate is worth; see `logEValue`. @returns null where there is no evidence yet */
export const estimateOf = (
  value: number,
  standardError: number,
  degreesOfFreedom: number,
  information: number,
  prior: EffectPrior,
): Estimate | null => {
  if (!(degreesOfFreedom >= minimumDegreesOfFreedom)) return null;
  const allowing = (by: number): Estimate => {
    const beyond = Math.max(0, Math.abs(value) - by);
    const t = beyond === 0 ? 0 : standardError > 0 ? beyond / standardError : Number.POSITIVE_INFINITY;
    const around = (quantile: () => number): Bounds => {
      const half = by + (standardError > 0 ? quantile() * standardError : 0);
      return { low: value - half, high: value + half };
    };
    return {
      value,
      standardError,
      degreesOfFreedom,
      pValue: Number.isFinite(t) ? studentTwoSided(t, degreesOfFreedom) : 0,
      interval: (level) => around(() => studentQuantile((1 + level) / 2, degreesOfFreedom)),
      anytimePValue: Math.min(1, Math.exp(-logEValue(t, degreesOfFreedom, information, prior))),
      anytimeInterval: (level) => around(() => anytimeQuantile(1 - level, degreesOfFreedom, information, prior)),
      allowing: (more) => allowing(by + more),
    };
  };
  return allowing(0);
};
