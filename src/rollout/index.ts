/**
 * How does an approved index come to be, how is it replaced or rebuilt, and how is it taken back?
 *
 * The deployment's state machine (`SPEC.md`) and the acts that move it: build concurrently under a temporary name, check, name; drop what is ours;
 * take up what a killed process left. Invariants: the intention is in the store before the DDL; the catalogue, not a statement's success, says what
 * exists; nothing is dropped that is not proved ours; nobody waits for us longer than the lock budget; no DDL without a permit.
 *
 * `versions.ts` keeps the history of every index, anybody's.
 *
 * Left to others: what to build and whether it may (`selection/`, `safeguards/`), and whether it helped (`verification/`).
 */
export { analyzeTable } from "./analyze.ts";
export type { RolloutContext } from "./context.ts";
export type { BuildOutcome } from "./build.ts";
export { buildIndex } from "./build-index.ts";
export { buildActOf } from "./context.ts";
export { createIndex } from "./create.ts";
export { type DropOutcome, dropOurs } from "./drop.ts";
export { dropStanding, proposeDrop } from "./drop-standing.ts";
export { objectionToDrop } from "./droppable.ts";
export { settleIndex } from "./promote.ts";
export { hideIndex, showIndex, trialEnd, type TrialOutcome } from "./trial.ts";
export { takeBack } from "./take-back.ts";
export { findOurs, findRebuilt, ownerOf } from "./ownership.ts";
export { cancelRecorded, isBuilding } from "./outlived.ts";
export { proposeIndex, proposeRecorded, proposeReindex, proposeReplacement } from "./propose.ts";
export { reconcile, type Reconciliation } from "./reconcile.ts";
export { replaceIndex } from "./replace.ts";
export {
  findStanding,
  type Impossible,
  objectionToReindex,
  objectionToReplace,
  readRows,
  readStanding,
  type StandingIndex,
} from "./standing.ts";
export { type BuildProgress, expectedDefinition } from "./statements.ts";
export { getIndexVersions, trackIndexVersions } from "./versions.ts";
export { advance, type DeploymentEventName, transitions } from "./transitions.ts";
