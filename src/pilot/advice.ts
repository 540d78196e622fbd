import type {
  Calibration,
  Catalog,
  ChosenIndex,
  Confidence,
  Configuration,
  HypotheticalIndex,
  Statement,
  TableAccess,
  Workload,
} from "../domain/index.ts";
import { quoteName } from "../postgres/index.ts";
import type { WeightUnit } from "../selection/index.ts";
import { sizeErrorOf } from "../sizes/index.ts";
import type { UpkeepModel } from "../upkeep/index.ts";
import { asksBeyondKnownEnds } from "./end-doubt.ts";
import type { PlanChanges } from "./plan-changes.ts";
import { doubtOfRecord, type TrackRecord } from "./track-record.ts";
import type { BlindSpot } from "./visibility.ts";

/** Everything one analysis found out. */
export interface Advice {
  readonly catalog: Catalog;
  readonly workload: Workload;
  /** What the observing role may not see, and what would let it. */
  readonly blindSpots: readonly BlindSpot[];
  /** How each statement uses each table, by statement id. */
  readonly accesses: ReadonlyMap<string, readonly TableAccess[]>;
  readonly planner: "shadow" | "hypopg";
  /** Objects of the target that the shadow could not rebuild; statements on them were not costed. */
  readonly leftOut: readonly { readonly object: string; readonly reason: string }[];
  readonly calibrations: ReadonlyMap<string, Calibration>;
  /** Statements that no planner could cost, and why. */
  readonly failed: ReadonlyMap<string, string>;
  readonly configuration: Configuration & {
    /** Of every weighted cost: milliseconds of the observed period, or planner cost times calls. */
    readonly unit: WeightUnit;
    /** False when a limit of time or calls ended the search. */
    readonly complete: boolean;
  };
  readonly budgetBytes: number;
  /** What each index costs by being there, or why nothing was charged. */
  readonly upkeep: UpkeepModel;
  /** The plans of the statements that the configuration serves, before and after, and what in the change is known to go wrong. */
  readonly plans: PlanChanges;
  /** How our earlier predictions for this database have fared; null where nothing is known of it. */
  readonly trackRecord: TrackRecord | null;
  /** By `definitionId`: indexes that can be advised and not built by us, and why. */
  readonly obstacles: ReadonlyMap<string, string>;
}

/** A reason to believe less in an index. */
export interface Doubt {
  readonly level: Exclude<Confidence, "high">;
  /**
   * A blind spot's or a plan risk's code, or `uncertain_size` (nothing tells how an expression's values are spread), `not_the_targets_plan`,
   * `often_reverted` and `promised_too_much` (our own record in this database), `guessed_values`, `end_not_known` (a range at an end that only the built index will know), `not_compared`.
   */
  readonly code: string;
  readonly reason: string;
  /** Null where it is not about one of the statements. */
  readonly statementId: string | null;
}

/** Every reason to believe less in a chosen index, the gravest first; each code once. */
export const doubtsOf = (advice: Advice, { index, statementIds }: ChosenIndex): readonly Doubt[] => {
  const doubts: Doubt[] = [];
  const table = quoteName(index.definition.table);
  for (const { code, tables, problem, remedy } of advice.blindSpots) {
    if (tables.includes(table)) {
      doubts.push({ level: "low", code, reason: `${problem}; remedy: ${remedy}`, statementId: null });
    }
  }
  const ofRecord = advice.trackRecord === null ? null : doubtOfRecord(advice.trackRecord);
  if (ofRecord !== null) doubts.push({ level: "low", ...ofRecord, statementId: null });
  if (index.uncertain !== undefined) {
    doubts.push({ level: "low", code: "uncertain_size", reason: index.uncertain, statementId: null });
  }
  for (const id of statementIds) {
    const statement = statementById(advice, id);
    const calibration = confidenceOfStatement(advice, id);
    const reason = calibration.reason ?? "";
    if (calibration.confidence === "low") {
      doubts.push({ level: "low", code: "not_the_targets_plan", reason, statementId: id });
    }
    if (statement.bindings.some((binding) => binding.source === "guess")) {
      const guessed = `the values of ${statement.label}'s parameters had to be guessed`;
      doubts.push({ level: "low", code: "guessed_values", reason: guessed, statementId: id });
    }
    if (asksBeyondKnownEnds(advice.catalog, { index }, statement)) {
      const column = index.definition.keys[0]?.column ?? "";
      const unknown = `${statement.label} asks for values at the end of ${column}: where it ends, only an index will tell the planner`;
      doubts.push({ level: "low", code: "end_not_known", reason: unknown, statementId: id });
    }
    if (calibration.confidence === "unknown") {
      doubts.push({ level: "unknown", code: "not_compared", reason, statementId: id });
    }
  }
  for (const { code, reason, statementId, indexId } of advice.plans.risks) {
    if (indexId === index.id) doubts.push({ level: "low", code, reason, statementId });
  }
  const once = new Map(doubts.toReversed().map((doubt) => [doubt.code, doubt]));
  return doubts
    .filter((doubt) => once.get(doubt.code) === doubt)
    .toSorted((a, b) => Number(a.level === "unknown") - Number(b.level === "unknown"));
};

/** Advice is as good as the least trustworthy of what it rests on. */
export const confidenceOf = (
  advice: Advice,
  chosen: ChosenIndex,
): { readonly level: Confidence; readonly reason: string | null } =>
  doubtsOf(advice, chosen)[0] ?? { level: "high", reason: null };

/** How far the planner was right about one statement. */
export const confidenceOfStatement = (advice: Advice, statementId: string): Calibration =>
  advice.calibrations.get(statementId) ?? {
    statementId,
    confidence: "unknown",
    targetCost: null,
    whatIfCost: null,
    reason: "the target was not asked",
  };

// Asked for each statement of each index: a search through all of them each time would be quadratic.
const statementsById = new WeakMap<Workload, ReadonlyMap<string, Statement>>();

export const statementById = ({ workload }: Pick<Advice, "workload">, id: string): Statement => {
  const known = statementsById.get(workload) ?? new Map(workload.statements.map((one) => [one.id, one]));
  statementsById.set(workload, known);
  const statement = known.get(id);
  if (statement === undefined) throw new Error(`no statement ${id} in the workload`);
  return statement;
};

/** A statement's name for people: its file, or what it does and the beginning of its fingerprint. */
export const queryName = (advice: Advice, id: string): string => {
  const { label, fingerprint } = statementById(advice, id);
  return advice.workload.source === "files" ? label : `${label} (${fingerprint.slice(0, 6)})`;
};

/** Between which sizes the built index will be, by what was measured of its kind; bytes. */
export const sizeRangeOf = (index: HypotheticalIndex): { readonly low: number; readonly high: number } => {
  const { low, high } = sizeErrorOf(index.definition);
  return { low: Math.round(index.estimatedBytes * low), high: Math.round(index.estimatedBytes * high) };
};
