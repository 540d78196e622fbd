/**
 * What may be concluded from numbers?
 *
 * Pure functions, each with its source: distributions, the information left in autocorrelated series, tests and intervals that may be looked at all the time,
 * corrections for many tests. Nothing here knows of databases; what a result means for an index is `verification/`'s business.
 */
export { effectiveSize, lagOneAutocorrelation } from "./autocorrelation.ts";
export { difference, type InfluencePart, pairedDifference } from "./difference.ts";
export type { Bounds, Estimate } from "./estimate.ts";
export { holmLevels } from "./holm.ts";
export { leastSquares, type Point, predictLeastSquares, type Prediction, theilSen } from "./least-squares.ts";
export { bucketOf, type LatencyHistogram } from "./latency-histogram.ts";
export { normalQuantile } from "./normal.ts";
export { sequentialQuantile } from "./quantile.ts";
export { rateDifference } from "./rate-difference.ts";
export { ratioInfluence } from "./ratio.ts";
export { sampleRatioPValue } from "./sample-ratio.ts";
export { logGamma, regularizedIncompleteBeta } from "./special.ts";
export { studentCdf, studentQuantile, studentTwoSided } from "./student.ts";
export { predictWanderingLine } from "./wandering-line.ts";
