/**
 * Did the index help?
 *
 * Pure: blocks of time before and after a change, or of two arms side by side, in, a verdict out; no clock, no database, and the same evidence gives the same
 * verdict for ever. Invariants: a verdict other than `undecided` has an interval that shows it; missing or void data never counts as success;
 * looking as often as one likes keeps the rate of false winners at `alpha`. Taking the snapshots is `workload/`'s part, acting on the verdict
 * the pilot's. The method and its measured error rates: `bench/verdicts.ts`.
 */
export { ArmTally } from "./arm-tally.ts";
export { evidenceOfWindows, type RecordedEvidence } from "./arm-windows.ts";
export { type ArmEvidence, type ExperimentEvidence, judgeArms } from "./arms.ts";
export type { Evidence } from "./evidence.ts";
export { chooseExposure, type Exposure, type Tenants } from "./exposure.ts";
export { judge } from "./judge.ts";
export {
  type EndCode,
  type ExperimentStanding,
  type ExperimentStep,
  harmedStatements,
  nextStep,
  type TenantStanding,
  tenantStep,
} from "./next-step.ts";
export { isDecided } from "./outcome.ts";
export { type PageEvidence, pageEvidence } from "./page-evidence.ts";
export { mergeBlocks, mostWindows } from "./windows.ts";
