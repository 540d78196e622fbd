/**
 * Which knobs are there, what do they default to, why, and what holds now?
 *
 * Every number a user may want to change, once, with its unit, bounds and the reason for its default; how sizes and times are written; the file
 * `indexpilot_config.yaml`. Invariants: nothing unknown is accepted in silence; a stronger source (flag, environment, file, default) wins; passwords are
 * never shown. Left to others: what a value does.
 */
export { defaults, type Settings } from "./defaults.ts";
export { readConfigFile } from "./file.ts";
export { maskPassword } from "./knob.ts";
export { knobs } from "./knobs.ts";
export { type Mode, modeOf } from "./mode.ts";
export type { NamedTarget } from "./named-target.ts";
export { resolveReference } from "./reference.ts";
export { type Effective, type Resolved, resolveSettings } from "./settings.ts";
export * from "./units.ts";
export type { MaintenanceWindow } from "./window.ts";
