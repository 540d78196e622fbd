import { anyEffect, largeEffect } from "./anytime.ts";
import { effectiveSize, lagOneAutocorrelation, wanderingLevels, wanderingDifference } from "./autocorrelation.ts";
import { type Estimate, estimateOf } from "./estimate.ts";

const meanSquare = (values: readonly number[]): number =>
  values.reduce((total, value) => total + value * value, 0) / values.length;

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
 * @param leastStandardError where theory says that it cannot be less
 */
export const difference = (
  value: number,
  first: readonly number[],
  second: readonly number[],
  leastStandardError = 0,
): Estimate | null => {
  const phi = lagOneAutocorrelation([first, second], wanderingLevels);
  const raw = [first, second].map((influence) => ({
    effective: effectiveSize(influence.length, phi),
    square: meanSquare(influence),
  }));
  const effective = raw.reduce((total, part) => total + part.effective, 0);
  const pooled = raw.reduce((total, part) => total + part.square * part.effective, 0) / effective;
  const parts = raw.map((part) => ({
    degrees: part.effective - 1,
    variance: Math.max(part.square, pooled) / (part.effective - 1),
  }));
  if (parts.some(({ degrees }) => !(degrees > 0))) return null;
  const variance = parts.reduce((total, part) => total + part.variance, 0);
  const denominator = parts.reduce((total, part) => total + part.variance ** 2 / part.degrees, 0);
  const degreesOfFreedom =
    denominator > 0 ? variance ** 2 / denominator : parts.reduce((total, part) => total + part.degrees, 0);
  const information = 1 / raw.reduce((total, part) => total + 1 / part.effective, 0);
  const standardError = Math.max(leastStandardError, Math.sqrt(variance));
  return estimateOf(value, standardError, degreesOfFreedom, information, largeEffect);
};

/** A part of the influence whose blocks are not all: those without a call say nothing of its noise. */
export interface InfluencePart {
  /** Sum of its squares. */
  readonly square: number;
  /** Blocks that had any of it. */
  readonly blocks: number;
}

/** How many blocks a variance is known from that is the sum of such parts: Satterthwaite (1946) over their degrees of freedom, and one. */
const blocksBehind = (parts: readonly InfluencePart[]): number => {
  const square = parts.reduce((total, part) => total + part.square, 0);
  const denominator = parts.reduce(
    (total, part) => total + (part.square === 0 ? 0 : part.square ** 2 / (part.blocks - 1)),
    0,
  );
  return denominator > 0 ? 1 + square ** 2 / denominator : Number.POSITIVE_INFINITY;
};

/**
 * The uncertainty of `value`, a difference of two arms that ran side by side, from the difference of their influences block by block: what both share
 * cancels. Otherwise as {@link difference}.
 * @param leastStandardError where theory says that it cannot be less
 * @param parts what the influences are the sum of: no more blocks are counted than their noise is known from, however many passed without a call. None: all.
 */
export const pairedDifference = (
  value: number,
  influence: readonly number[],
  leastStandardError = 0,
  parts: readonly InfluencePart[] = [],
): Estimate | null => {
  const all = effectiveSize(influence.length, lagOneAutocorrelation([influence], wanderingDifference));
  const effective = all * Math.min(1, blocksBehind(parts) / influence.length);
  const degrees = effective - 1;
  if (!(degrees > 0)) return null;
  const variance = ((meanSquare(influence) / all) * effective) / degrees;
  return estimateOf(value, Math.max(leastStandardError, Math.sqrt(variance)), degrees, effective, anyEffect);
};
