/**
 * How are the indexes, and how will they be?
 *
 * Bloat by the cheapest method that is right, and withheld where none is; samples over time; forecasts with intervals; what is unused, redundant or
 * half built. Invariants: a look asks the catalogue and counters only, and waits for no lock longer than the session's budget; growth of the data is
 * never called bloat; a figure that may be wrong by more than 5 points is not shown.
 *
 * Left to others: remembering (`store/`), rebuilding and dropping (`rollout/`), whether that may happen now (`safeguards/`).
 */
export { estimateBloat } from "./bloat.ts";
export { type Choice, chooseRebuilds, type DeclinedRebuild } from "./choose.ts";
export { countCoarse } from "./counted.ts";
export { type Forecast, forecast, type Insufficient, type Observation } from "./forecast.ts";
export {
  foreignKeyServedBy,
  type IndexJudgement,
  type IndexStanding,
  isScanned,
  isSpare,
  judgeIndexes,
  type MissingForeignKeyIndex,
  missingForeignKeyIndexes,
  PRIMARY,
  type ScanCounts,
  type StaleStatistics,
  staleStatistics,
} from "./lifecycle.ts";
export { predictBloat, predictIndexBloat, predictReindexNeeds, type ReindexNeed } from "./predict.ts";
export { type IndexFacts, readIndexFacts } from "./reading.ts";
export { ownBaseline, returnedAfterDays, sampleOf } from "./series.ts";
export { readBuilding, readScanCounts, readStandbys } from "./use.ts";
