import { regularizedIncompleteBeta } from "./special.ts";

/** P(|T| > |t|) for Student's t with `df` > 0 degrees of freedom, fractional ones allowed (Abramowitz & Stegun 26.7.1, DLMF 8.17). */
export const studentTwoSided = (t: number, df: number): number =>
  regularizedIncompleteBeta(df / (df + t * t), df / 2, 0.5);

/** P(T ≤ t). */
export const studentCdf = (t: number, df: number): number => {
  const tail = studentTwoSided(t, df) / 2;
  return t < 0 ? tail : 1 - tail;
};

/**
 * The t with P(T ≤ t) = p, for 0 < p < 1. By bisection on ln t, which takes the enormous quantiles of df < 1 in
 * its stride; beyond 1e150 it is Infinity.
 */
export const studentQuantile = (p: number, df: number): number => {
  if (p === 0.5) return 0;
  if (p < 0.5) return -studentUpper(p, df);
  return studentUpper(1 - p, df);
};

const studentUpper = (tail: number, df: number): number => {
  const wanted = 2 * tail;
  // Beyond this, t² would overflow.
  const largest = 1e150;
  if (studentTwoSided(largest, df) > wanted) return Number.POSITIVE_INFINITY;
  let low = Math.log(1e-12);
  let high = Math.log(largest);
  for (let i = 0; i < 200 && high - low > 1e-14; i += 1) {
    const middle = (low + high) / 2;
    if (studentTwoSided(Math.exp(middle), df) > wanted) low = middle;
    else high = middle;
  }
  return Math.exp((low + high) / 2);
};
