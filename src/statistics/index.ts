/**
 * What may be concluded from numbers?
 *
 * Pure functions, each with its source: distributions, the information left in autocorrelated series, corrections for many tests and many
 * looks. Nothing here knows of databases; what a result means for an index is `verification/`'s business.
 */
export { effectiveSize, lagOneAutocorrelation } from "./autocorrelation.ts";
export { difference, type Estimate } from "./difference.ts";
export { holmLevels } from "./holm.ts";
export { levelAtLook } from "./looks.ts";
export { normalQuantile } from "./normal.ts";
export { ratioInfluence } from "./ratio.ts";
export { logGamma, regularizedIncompleteBeta } from "./special.ts";
export { studentCdf, studentQuantile, studentTwoSided } from "./student.ts";
