/**
 * Which knobs are there, what do they default to, and why?
 *
 * Every number a user may want to change, once, with its unit and the reason for its default; and how sizes and times are written.
 */
export * from "./defaults.ts";
export * from "./units.ts";
