import { effectiveSize, lagOneAutocorrelation } from "./autocorrelation.ts";
import { studentQuantile, studentTwoSided } from "./student.ts";

/** An estimate with its standard error and the degrees of freedom of Student's t that go with it. */
export interface Estimate {
  readonly value: number;
  readonly standardError: number;
  readonly degreesOfFreedom: number;
  /** Two-sided p-value of "the true value is zero". */
  readonly pValue: number;
  interval(level: number): { readonly low: number; readonly high: number };
}

/** Below this many degrees of freedom t's quantiles are meaninglessly large: there is no evidence yet. */
const minimumDegreesOfFreedom = 0.2;

/**
 * The uncertainty of `value`, a difference of two independent parts, from the influence of each block on its part
 * (values around zero, relative to the part; see {@link ratioInfluence}). The blocks of a part may be autocorrelated.
 *
 * The variance of an autocorrelated mean is s²/(m − 1), s² with divisor n and m the effective size: in an AR(1) series the
 * sample variance itself is too small by the factor 1 − 1/m, and this puts both right. No part counts as calmer than the two
 * together: a short stretch of a wandering series looks calm. Degrees of freedom by Welch (1947, Biometrika 34) and
 * Satterthwaite (1946, Biometrics Bulletin 2), with m in place of n.
 *
 * Null when the series are too short or too autocorrelated to say anything.
 */
export const difference = (value: number, first: readonly number[], second: readonly number[]): Estimate | null => {
  const phi = lagOneAutocorrelation([first, second]);
  const raw = [first, second].map((influence) => ({
    effective: effectiveSize(influence.length, phi),
    square: influence.reduce((total, one) => total + one * one, 0) / influence.length,
  }));
  const pooled =
    raw.reduce((total, part) => total + part.square * part.effective, 0) /
    raw.reduce((total, part) => total + part.effective, 0);
  const parts = raw.map(({ effective, square }) => ({
    degrees: effective - 1,
    variance: Math.max(square, pooled) / (effective - 1),
  }));
  if (parts.some(({ degrees }) => !(degrees > 0))) return null;
  const variance = parts.reduce((total, part) => total + part.variance, 0);
  const denominator = parts.reduce((total, part) => total + part.variance ** 2 / part.degrees, 0);
  const degreesOfFreedom =
    denominator > 0 ? variance ** 2 / denominator : parts.reduce((total, part) => total + part.degrees, 0);
  if (!(degreesOfFreedom >= minimumDegreesOfFreedom)) return null;
  const standardError = Math.sqrt(variance);
  return {
    value,
    standardError,
    degreesOfFreedom,
    pValue: standardError > 0 ? studentTwoSided(value / standardError, degreesOfFreedom) : value === 0 ? 1 : 0,
    interval: (level) => {
      const half = standardError > 0 ? studentQuantile((1 + level) / 2, degreesOfFreedom) * standardError : 0;
      return { low: value - half, high: value + half };
    },
  };
};
