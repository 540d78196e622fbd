/**
 * How do the stages become one program?
 *
 * The composition root: opens sessions, hands each stage's values to the next, and tells what it does as events. It alone knows all stages, and
 * decides nothing that a stage could decide. Invariants: advising changes nothing on the target; every change goes through a permit; every session is
 * closed, whatever happens.
 */
export { admitFollower } from "./admit.ts";
export { type Advice, confidenceOf, doubtsOf, queryName, sizeRangeOf } from "./advice.ts";
export { adviceDocument, explicandumDocument } from "./advice-document.ts";
export { advise, type AdviseInput, type AdviseOptions, type Goal, withAdvice } from "./advise.ts";
export type { DropReport } from "./approved-drops.ts";
export { readWaiting, rule, type Ruling } from "./approvals.ts";
export { readSubject, type Subject } from "./analysis.ts";
export { apply, type ApplyOptions, applyPlan, type ApplyReport } from "./apply.ts";
export type { BuildReport, CarriedOut } from "./carry-out.ts";
export { type ChangePlan, changePlan } from "./change-plan.ts";
export { dropIndex, endTrial, findDrop } from "./drop.ts";
export type { DropInquiry } from "./drop-inquiry.ts";
export { conductExperiment, conductExperiments } from "./conduct.ts";
export type { Conducted } from "./conducting.ts";
export { diagnose, type Diagnosis } from "./doctor.ts";
export type { Check, CheckLevel } from "./doctor/check.ts";
export { AUTOPILOT, type Emit, type PilotEvent } from "./events.ts";
export { type Explained, type ExplainedBinding, explain, type Explanation, onlyFingerprint } from "./explain.ts";
export { carryOutFindings, type FoundChanges, proposeFindings } from "./findings.ts";
export { type Refreshed, refreshStatistics } from "./refresh-statistics.ts";
export { maintain, type Maintained } from "./maintain.ts";
export { checkHealth, type HealthReport, type IndexHealth } from "./health.ts";
export { type AbRecorder, openAbRecorder, recordAbResult } from "./experiment-recorder.ts";
export { type AbResults, endAbExperiment, getAbResults, listAbExperiments } from "./experiment-results.ts";
export { type AbExperimentSpec, createAbExperiment, createCanaryDeployment } from "./experiments.ts";
export { type Following, followExperiments, type FollowOptions } from "./follow.ts";
export { type History, readHistory, readStatus, type Status } from "./history.ts";
export { type Explicandum, findExplicandum } from "./explained.ts";
export { buildStatementsOf, dropReportOf, planPairsOf, reportOf } from "./index-report.ts";
export { minorPartOf } from "./minor.ts";
export { planReindex, type Reindexed, reindexIndex, type ReindexPlan } from "./reindex.ts";
export { withReplicas } from "./replicas.ts";
export { findRollback, rollBack } from "./rollback.ts";
export { resume, stop, type Stopped } from "./stop.ts";
export { takeSnapshot } from "./snapshot.ts";
export { countersAtLastChange } from "./since-change.ts";
export { liveTarget, snapshotTarget, type TargetSource } from "./source.ts";
export { breakable, type PilotContext, storeOver, withSession } from "./target.ts";
export type { Pursued } from "./verdicts.ts";
export { mayAdvise } from "./modes.ts";
export { runPredictiveMaintenance } from "./predictive-maintenance.ts";
export { type RebuiltIndex, rebuiltOf } from "./rebuilt.ts";
export {
  observeBlock,
  type Pending,
  propose,
  type Proposed,
  readPending,
  type RolledOut,
  rollOut,
} from "./standing.ts";
export { readSeries, readVersions } from "./versions.ts";
export {
  planVersionRollback,
  rollbackIndexVersion,
  type RolledBackVersion,
  type VersionRollback,
} from "./version-rollback.ts";
export { verify } from "./verify.ts";
export {
  type FileSource,
  workloadOfFiles,
  workloadOfText,
  workloadOfTraffic,
  type WorkloadSource,
} from "./workload.ts";
