/**
 * What would a statement cost under other indexes?
 *
 * A cost source over any what-if planner (HypoPG here, the shadow elsewhere): cached, counted, many EXPLAINs per round trip, none
 * where the answer follows from others; and the calibration that says, statement by statement, how far the planner may be trusted.
 * Invariants: nothing on the target changes and nothing is executed (EXPLAIN without ANALYZE, in read-only transactions); a statement that
 * cannot be planned is reported, never counted as free.
 */
export { openHypopg } from "./hypopg.ts";
export { createCostModel, type CostAnswer, type CostModel, type CostModelInput, type CostQuery } from "./cost-model.ts";
export {
  calibrate,
  type CalibrationInput,
  type CalibrationStatement,
  explainOnTarget,
  questionsOf,
  type TargetPlans,
  type TargetQuestion,
} from "./calibrate.ts";
