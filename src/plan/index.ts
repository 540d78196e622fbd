/**
 * What does a plan say?
 *
 * One `EXPLAIN (FORMAT JSON)` as a value: decoded, walked, compared. Pure; no SQL and no connection. The comparison is what calibration
 * means by "same shape".
 */
export * from "./plan.ts";
export { type PlanStep, planSteps, type RenameIndex, stepText } from "./text.ts";
export { type BindingChange, type PlanRisk, planRisks, skewRisk, statementRisks } from "./regressions.ts";
