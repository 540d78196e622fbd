/**
 * What does the program need from the world that is not deterministic?
 *
 * Time, random numbers and diagnostics come in through these values, so that decisions can be tested with a virtual clock and replayed.
 * Nothing else in `src/` calls `Date.now`, `Math.random` or `setTimeout` directly.
 */
export * from "./clock.ts";
export * from "./random.ts";
