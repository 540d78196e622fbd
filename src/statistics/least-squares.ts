import { studentQuantile } from "./student.ts";

export interface Point {
  readonly x: number;
  readonly y: number;
}

/** What a model says of the value at one x. */
export interface Prediction {
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

/** A straight line through points. */
export interface Line {
  readonly intercept: number;
  readonly slope: number;
}

/** The least-squares line; null with fewer than two different x. */
export const leastSquares = (points: readonly Point[]): Line | null => {
  const n = points.length;
  const meanX = points.reduce((sum, { x }) => sum + x, 0) / n;
  const meanY = points.reduce((sum, { y }) => sum + y, 0) / n;
  const sxx = points.reduce((sum, { x }) => sum + (x - meanX) ** 2, 0);
  if (!(sxx > 0)) return null;
  const slope = points.reduce((sum, { x, y }) => sum + (x - meanX) * (y - meanY), 0) / sxx;
  return { intercept: meanY - slope * meanX, slope };
};

/**
 * The interval for one new observation at `x` about the least-squares line (Draper & Smith 1998, Applied Regression Analysis, 3rd ed., eq. 1.4.11):
 * right for independent errors of one variance, and only for those. Null with fewer than three points.
 */
export const predictLeastSquares = (points: readonly Point[], x: number, level: number): Prediction | null => {
  const line = leastSquares(points);
  const n = points.length;
  if (line === null || n < 3) return null;
  const at = (one: number): number => line.intercept + line.slope * one;
  const meanX = points.reduce((sum, one) => sum + one.x, 0) / n;
  const sxx = points.reduce((sum, one) => sum + (one.x - meanX) ** 2, 0);
  const variance = points.reduce((sum, one) => sum + (one.y - at(one.x)) ** 2, 0) / (n - 2);
  const half = studentQuantile((1 + level) / 2, n - 2) * Math.sqrt(variance * (1 + 1 / n + (x - meanX) ** 2 / sxx));
  return { value: at(x), low: at(x) - half, high: at(x) + half };
};

const median = (values: readonly number[]): number => {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  return ((sorted[Math.ceil(middle) - 1] ?? 0) + (sorted[Math.floor(middle)] ?? 0)) / 2;
};

/**
 * The line with the median of the slopes between all pairs of points, and the median of what that leaves (Theil 1950; Sen 1968, JASA 63, 1379–1389):
 * up to 29 % of the points may be anything. Null with fewer than two different x.
 */
export const theilSen = (points: readonly Point[]): Line | null => {
  const slopes = points.flatMap((one, i) =>
    points.slice(i + 1).flatMap((other) => (other.x === one.x ? [] : [(other.y - one.y) / (other.x - one.x)])),
  );
  if (slopes.length === 0) return null;
  const slope = median(slopes);
  return { intercept: median(points.map(({ x, y }) => y - slope * x)), slope };
};
