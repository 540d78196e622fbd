/**
 * What does the application send to its database, how does it fare, and which of it may use an index on trial?
 *
 * Hooks the drivers of a Node application, node-postgres and postgres.js, from the inside: every statement is measured, and while a canary runs the
 * statements drawn for it are given the gate of its index. `import { intercept } from "indexpilot/driver"` is the package's door to it.
 * Invariants: the application gets the same rows, errors, callbacks and events as without it; whatever is unexpected here, the statement goes out as it
 * is; no values are kept unless asked for; what is kept is bounded.
 * Left to others: which index goes on trial (pilot), building it (rollout), what the measurements say (verification), how a text is changed (sql).
 */
export { shouldUseCanary, type GateExperiment } from "./experiment.ts";
export { intercept, type Interception, type InterceptOptions, type NodePostgres } from "./intercept.ts";
export type { HookCounts } from "./counts.ts";
export type { Measurement } from "./measurement.ts";
export { type ApplicationConnection, type GateTest, readGateStanding, testGate } from "./self-test.ts";
