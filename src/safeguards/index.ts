/**
 * What stops IndexPilot itself?
 *
 * Decides from values whether one act on one table may begin now, and mints the permit without which no DDL runs. Invariants: this folder alone
 * mints permits; a refusal says why and, where it passes by itself, when to ask again; deciding reads nothing (`SPEC.md` lists the rules).
 * Left to others: what to do with a refusal (`pilot/`), and stopping a build that has begun to make others wait (`rollout/`).
 */
export { emptyThreshold, getAdaptiveThreshold, updateAdaptiveThreshold } from "./adaptive-threshold.ts";
export { acquireBuildLock } from "./build-lock.ts";
export {
  checkCircuitBreaker,
  circuitOf,
  closedCircuit,
  recordCircuitFailure,
  recordCircuitSkip,
  recordCircuitSuccess,
} from "./circuit-breaker.ts";
export { readServerCondition, type ServerCondition } from "./condition.ts";
export { defaultLimits, limitsOf, type SafeguardLimits } from "./limits.ts";
export { readDatabaseBytes, readReplicationLag } from "./replication.ts";
export { loadLimits, readServerLoad, type ServerLoad } from "./load.ts";
export {
  haltRunning,
  permitDecision,
  type PermitRequest,
  type RefusalCode,
  refusalCodes,
  requestPermit,
  isBuild,
  REBUILD_RUN_MS,
} from "./permits.ts";
export { warningDecision, warningsOf } from "./warnings.ts";
