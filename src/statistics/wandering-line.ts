import type { Point, Prediction } from "./least-squares.ts";
import { studentCdf } from "./student.ts";

/**
 * A level that wanders about a line whose slope may wander too, seen with noise: y(x) = a + b x + weekly rhythm + w(x) + ∫v + e, with w and v Brownian motions
 * of variances q s² and r s² per unit of x, and e independent of variance s² (the local linear trend model: Harvey 1989, Forecasting, Structural Time Series
 * Models and the Kalman Filter, 2.3). q = r = 0 is least squares with its t interval, a large q a random walk with drift. Given q, r and the terms that are
 * there, generalised least squares with Student's t (Harville 1974, Biometrika 61); what q and r are, and whether there is a rhythm, is averaged over by the
 * weights that the data give each (likelihood with Schwarz's 1978 penalty for each term).
 */
const wanderings = [0, 0.1, 1, 10, 100].flatMap((q) => [0, 1e-3, 1e-2, 0.2].map((r) => ({ q, r })));
/** How much likelier than each of the others the line that does not wander is beforehand: with equal odds, intervals of straight lines come out too wide. */
const STRAIGHT_ODDS = 2;

/** Covariance of wandering level and slope between two places, from where both began. */
const covarianceOf = ({ q, r }: { readonly q: number; readonly r: number }, one: number, other: number): number => {
  const [near, far] = one < other ? [one, other] : [other, one];
  return q * near + (r * near ** 2 * (3 * far - near)) / 6;
};

/** One period of the rhythm, in units of x: days of a week. */
const PERIOD = 7;
/** Periods that must have been seen before a rhythm is thought of. */
const PERIODS_SEEN = 2;

/** What weighs less moves no end of a 95 % interval, and takes as long as what weighs more. */
const LEAST_WEIGHT = 1e-4;

interface Component {
  readonly weight: number;
  readonly value: number;
  readonly error: number;
  readonly degrees: number;
}

/** The lower triangle L of a positive definite matrix, L L' = A. */
const cholesky = (matrix: readonly (readonly number[])[]): number[][] => {
  const n = matrix.length;
  const lower = Array.from({ length: n }, () => Array.from<number>({ length: n }).fill(0));
  for (let i = 0; i < n; i += 1) {
    const row = lower[i] ?? [];
    for (let j = 0; j <= i; j += 1) {
      const other = lower[j] ?? [];
      let sum = matrix[i]?.[j] ?? 0;
      for (let k = 0; k < j; k += 1) sum -= (row[k] ?? 0) * (other[k] ?? 0);
      row[j] = i === j ? Math.sqrt(Math.max(sum, 1e-12)) : sum / (other[j] ?? 1);
    }
  }
  return lower;
};

/** L⁻¹ b. */
const whiten = (lower: readonly (readonly number[])[], b: readonly number[]): number[] => {
  const solved: number[] = [];
  for (const [i, row] of lower.entries()) {
    let sum = b[i] ?? 0;
    for (let k = 0; k < i; k += 1) sum -= (row[k] ?? 0) * (solved[k] ?? 0);
    solved.push(sum / (row[i] ?? 1));
  }
  return solved;
};

const dot = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((sum, one, i) => sum + one * (b[i] ?? 0), 0);

/** L'⁻¹ b. */
const backSolve = (lower: readonly (readonly number[])[], b: readonly number[]): number[] => {
  const n = b.length;
  const solved = Array.from<number>({ length: n }).fill(0);
  for (let i = n - 1; i >= 0; i -= 1) {
    let sum = b[i] ?? 0;
    for (let k = i + 1; k < n; k += 1) sum -= (lower[k]?.[i] ?? 0) * (solved[k] ?? 0);
    solved[i] = sum / (lower[i]?.[i] ?? 1);
  }
  return solved;
};

const logDeterminant = (lower: readonly (readonly number[])[]): number =>
  2 * lower.reduce((sum, row, i) => sum + Math.log(row[i] ?? 1), 0);

type Terms = (x: number) => number[];

/** All models there are for these points. */
const termsFor = (points: readonly Point[]): readonly Terms[] => {
  const line: Terms = (x) => [1, x];
  const span = (points.at(-1)?.x ?? 0) - (points[0]?.x ?? 0);
  if (span < PERIODS_SEEN * PERIOD || points.length < 12) return [line];
  const angle = (2 * Math.PI) / PERIOD;
  const rhythm: Terms = (x) => [1, x, Math.sin(angle * x), Math.cos(angle * x)];
  return [line, rhythm];
};

const components = (points: readonly Point[], ahead: readonly number[]): Component[][] => {
  const origin = points[0]?.x ?? 0;
  const xs = points.map(({ x }) => x - origin);
  const ys = points.map(({ y }) => y);
  const n = xs.length;
  const raw: { readonly log: number; readonly at: readonly Omit<Component, "weight">[] }[] = [];
  for (const wandering of wanderings) {
    const lower = cholesky(xs.map((a, i) => xs.map((b, j) => (i === j ? 1 : 0) + covarianceOf(wandering, a, b))));
    const y = whiten(lower, ys);
    const shared = ahead.map((x) => {
      const covariance = xs.map((one) => covarianceOf(wandering, one, x - origin));
      return { covariance: whiten(lower, covariance), own: 1 + covarianceOf(wandering, x - origin, x - origin) };
    });
    for (const terms of termsFor(points)) {
      const columns = xs.map((x) => terms(x + origin));
      const p = columns[0]?.length ?? 1;
      const design = Array.from({ length: p }, (_, j) =>
        whiten(
          lower,
          columns.map((row) => row[j] ?? 0),
        ),
      );
      const inner = cholesky(design.map((a) => design.map((b) => dot(a, b))));
      const solve = (b: readonly number[]): number[] => backSolve(inner, whiten(inner, b));
      const beta = solve(design.map((column) => dot(column, y)));
      const residual = y.map((one, i) => one - beta.reduce((sum, value, j) => sum + value * (design[j]?.[i] ?? 0), 0));
      const degrees = n - p;
      // Values are rounded on their way here: no series is known better than that.
      const square = Math.max(dot(residual, residual) / degrees, 1e-10);
      const odds = wandering.q === 0 && wandering.r === 0 ? STRAIGHT_ODDS : 1;
      const log = Math.log(odds) - 0.5 * (logDeterminant(lower) + n * Math.log(square) + p * Math.log(n));
      raw.push({
        log,
        at: ahead.map((x, at) => {
          const { covariance = [], own = 1 } = shared[at] ?? {};
          const regressors = terms(x);
          const left = regressors.map((one, j) => one - dot(design[j] ?? [], covariance));
          const variance = own - dot(covariance, covariance) + dot(left, solve(left));
          return {
            value: dot(regressors, beta) + dot(covariance, residual),
            error: Math.sqrt(square * Math.max(variance, 1e-12)),
            degrees,
          };
        }),
      });
    }
  }
  const best = Math.max(...raw.map(({ log }) => log));
  const total = raw.reduce((sum, { log }) => sum + Math.exp(log - best), 0);
  return ahead.map((_, at) =>
    raw.flatMap(({ log, at: each }) => {
      const one = each[at];
      const weight = Math.exp(log - best) / total;
      return one === undefined || weight < LEAST_WEIGHT ? [] : [{ ...one, weight }];
    }),
  );
};

const quantile = (parts: readonly Component[], probability: number): number => {
  const below = (y: number): number =>
    parts.reduce(
      (sum, { weight, value, error, degrees }) => sum + weight * studentCdf((y - value) / error, degrees),
      0,
    );
  const widest = Math.max(...parts.map(({ error }) => error));
  let low = Math.min(...parts.map(({ value }) => value)) - 100 * widest;
  let high = Math.max(...parts.map(({ value }) => value)) + 100 * widest;
  const total = parts.reduce((sum, { weight }) => sum + weight, 0);
  // To a hundred thousandth of the widest.
  for (let i = 0; i < 24; i += 1) {
    const middle = (low + high) / 2;
    if (below(middle) < probability * total) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
};

/** What a new observation at each x will be, in order; x is in days. Needs five points at least, in order of x. */
export const predictWanderingLine = (
  points: readonly Point[],
  ahead: readonly number[],
  level: number,
): readonly Prediction[] =>
  components(points, ahead).map((parts) => ({
    value:
      parts.reduce((sum, { weight, value }) => sum + weight * value, 0) /
      parts.reduce((sum, { weight }) => sum + weight, 0),
    low: quantile(parts, (1 - level) / 2),
    high: quantile(parts, (1 + level) / 2),
  }));
