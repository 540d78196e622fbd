/**
 * What are the things IndexPilot talks about?
 *
 * Plain immutable values and the few pure functions that belong to them. Nothing here reads a clock, a file, a socket or
 * a database; everything else may import it. Names are the field's: workload, candidate, configuration, what-if, verdict.
 */
export * from "./access.ts";
export * from "./candidate.ts";
export * from "./catalog.ts";
export * from "./configuration.ts";
export * from "./decision.ts";
export * from "./deployment.ts";
export * from "./experiment.ts";
export * from "./identity.ts";
export * from "./index-definition.ts";
export * from "./index-health.ts";
export * from "./index-version.ts";
export type { Notice } from "./notice.ts";
export type { HaltSource, Objection, Permit, PermitAnswer, PermitSource, PermittedAct } from "./permit.ts";
export { permitAllows } from "./permit.ts";
export * from "./safeguard.ts";
export * from "./verdict.ts";
export * from "./whatif.ts";
export * from "./workload.ts";
