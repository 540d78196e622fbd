import type { Settings } from "../config/index.ts";
import { generateCandidates, redundantIndexes, replacedIndexes } from "../candidates/index.ts";
import {
  type Calibration,
  type Candidate,
  type Catalog,
  type DeclinedCandidate,
  type HypotheticalIndex,
  type WhatIfPlanner,
  tableId,
} from "../domain/index.ts";
import { failure } from "../errors.ts";
import type { Clock } from "../runtime/index.ts";
import { type Goal, selectConfiguration, type SelectionInput } from "../selection/index.ts";
import { type ShadowPlanner, startShadow } from "../shadow/index.ts";
import { calibrate, type CalibrationStatement, createCostModel, openHypopg } from "../whatif/index.ts";
import type { Advice } from "./advice.ts";
import { count, readSubject } from "./analysis.ts";
import type { Emit } from "./events.ts";
import { type ReviewInput, selectReviewed } from "./review.ts";
import type { TargetSource } from "./source.ts";
import { openUpkeep } from "./upkeep.ts";

export type { Goal };

/** Within one per cent of the optimum, estimates decide more than a better search. */
const everydayGap = 0.01;
const everydayCalls = 1_500;
/** A solver's round takes seconds. */
const everydaySlowRounds = 5;
const everydayCallsEach = 45;

export interface AdviseOptions {
  readonly budgetBytes: number;
  readonly whatIf: "shadow" | "hypopg";
  readonly maxColumns: number;
  /** What a table and a schema may get, as the safeguards will see it. */
  readonly limits: Pick<Settings, "indexesPerTable" | "tableBudgetBytes" | "schemaBudgetBytes">;
  /** `btree`: plain B-trees only. Default `all`. */
  readonly kinds?: "btree" | "all";
  /** What the set is to be best at; default `time`. */
  readonly goal?: Goal;
  /** The search ends after so many milliseconds with the best found so far, and uses them; by default it ends by counts alone, so that the answer is the same each time. */
  readonly searchMs?: number;
  /** Measure what writes pay on the shadow's server; by default a table of reference says it, and the same input gives the same answer. */
  readonly measureWrites?: boolean;
}

export interface AdviseInput extends AdviseOptions {
  readonly source: TargetSource;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly emit: Emit;
  /** Told how often our own EXPLAINs scanned each of the target's indexes, by OID. */
  readonly onOwnScans?: (scans: ReadonlyMap<number, number>) => Promise<void>;
}

/**
 * Observe → analyse → what-if → select. Reads the target and changes nothing on it.
 * @throws IndexPilotError `workload_empty` when no statement can be analysed
 */
export const advise = (input: AdviseInput): Promise<Advice> => withAdvice(input, (advice) => Promise.resolve(advice));

/** The same, and then more questions to the planner while it is there. */
export const withAdvice = async <T>(
  input: AdviseInput,
  ask: (advice: Advice, planner: WhatIfPlanner, explainable: readonly CalibrationStatement[]) => Promise<T>,
): Promise<T> => {
  const { source, emit, signal } = input;
  const { catalog, planned, workload, blindSpots, accesses, explainable } = await readSubject(source, emit, signal);
  const statements = explainable.map(({ statement }) => statement);
  const candidates = generateCandidates({
    statements: workload.statements.map((statement) => ({
      statementId: statement.id,
      accesses: accesses.get(statement.id) ?? [],
      weight: statement.totalMs ?? statement.calls,
    })),
    catalog: planned,
    maxColumns: input.maxColumns,
    ...(input.kinds === undefined ? {} : { kinds: input.kinds }),
  });
  emit({
    kind: "step",
    text: `${count(workload.statements.length, "statement")}, ${count(candidates.candidates.length, "candidate")}; starting the ${input.whatIf === "shadow" ? "shadow planner" : "target's HypoPG"}`,
  });
  const planner = await openPlanner(input, planned);
  try {
    const hypothetical = await planner.register(candidates.candidates.map((candidate) => candidate.definition));
    signal.throwIfAborted();
    emit({ kind: "step", text: "comparing its plans with the target's own" });
    const calibrations = await calibrate({ target: source.plans, role: source.role, planner, statements: explainable });
    await input.onOwnScans?.(source.ownScans);
    signal.throwIfAborted();
    emit({ kind: "step", text: "searching the best set of indexes" });
    const costs = createCostModel({ planner, statements, accesses, hypothetical });
    const upkeep = await openUpkeep(planner, { catalog, workload, accesses }, input.measureWrites ?? false);
    const { searchMs, clock } = input;
    const present = new Map(planned.tables.map((table) => [tableId(table), table.indexes.length]));
    const startedMs = clock.monotonicMs();
    const effort = (): Partial<SelectionInput> =>
      searchMs === undefined
        ? {
            targetGap: everydayGap,
            slowProofRounds: everydaySlowRounds,
            proofCalls: Math.max(everydayCalls, everydayCallsEach * statements.length),
          }
        : { maxMs: searchMs - (clock.monotonicMs() - startedMs), proofCalls: Number.POSITIVE_INFINITY };
    const select: ReviewInput["select"] = (allowed) =>
      selectConfiguration({
        statements,
        candidates: allowed,
        costs,
        budgetBytes: input.budgetBytes,
        maxBytesPerTable: input.limits.tableBudgetBytes ?? Number.POSITIVE_INFINITY,
        maxBytesPerSchema: input.limits.schemaBudgetBytes ?? Number.POSITIVE_INFINITY,
        maxIndexesOn: (table) => Math.max(0, input.limits.indexesPerTable - (present.get(tableId(table)) ?? 0)),
        ...(input.goal === undefined ? {} : { goal: input.goal }),
        ...effort(),
        // Statements from files bring no times, so that nobody knows which share of the time is theirs.
        ...(workload.source === "files" ? { minimumShare: 0 } : {}),
        drops: planner.canHide ? redundantIndexes(planned) : [],
        ...(planner.canHide ? { replacements: (created) => replacedIndexes(planned, created) } : {}),
        ...(upkeep.kind === "charged" ? { upkeep: (index) => upkeep.of(index).ms } : {}),
        clock,
        signal,
        onProgress: ({ cost, costBefore, whatIfCalls }) => {
          emit({
            kind: "progress",
            share: null,
            text: `${count(whatIfCalls, "what-if call")}, cost at ${((cost / Math.max(costBefore, 1e-9)) * 100).toFixed(1)} %`,
          });
        },
      });
    const { configuration, plans } = await selectReviewed({
      select,
      candidates: hypothetical,
      planner,
      statements,
      calibrations,
      accesses,
    });
    const advice: Advice = {
      catalog,
      workload,
      blindSpots,
      accesses,
      planner: planner.name,
      leftOut: "leftOut" in planner ? (planner as ShadowPlanner).leftOut : [],
      calibrations: new Map(
        calibrations.map((one) => [one.statementId, doubted(one, source.doubt ?? doubtOf(planner))]),
      ),
      failed: new Map(configuration.unplanned.map((one) => [one.statementId, one.reason])),
      configuration: {
        ...configuration,
        declined: [
          ...candidates.declined,
          ...unplannable(candidates.candidates, hypothetical, planner.name),
          ...configuration.declined,
        ],
      },
      budgetBytes: input.budgetBytes,
      upkeep,
      plans,
      trackRecord: await source.readTrackRecord(),
      obstacles: new Map(
        candidates.candidates.flatMap(({ id, obstacle }) => (obstacle === undefined ? [] : [[id, obstacle]])),
      ),
    };
    return await ask(advice, planner, explainable);
  } finally {
    await planner.close();
  }
};

/** Candidates that this planner cannot represent, declined as such. */
const unplannable = (
  candidates: readonly Candidate[],
  registered: readonly HypotheticalIndex[],
  planner: WhatIfPlanner["name"],
): readonly DeclinedCandidate[] => {
  const known = new Set(registered.map(({ id }) => id));
  return candidates
    .filter(({ id }) => !known.has(id))
    .map(({ definition, origins }) => ({
      definition,
      code: "not_plannable",
      reason: `${planner === "hypopg" ? "HypoPG" : "the shadow"} cannot make a hypothetical index of this kind`,
      statementIds: [...new Set(origins.map(({ statementId }) => statementId))],
    }));
};

/** Opens the planner that answers what-if. @throws IndexPilotError `usage` where HypoPG is asked for and there is no server to ask */
export const openPlanner = async (
  { whatIf, source }: Pick<AdviseInput, "whatIf" | "source">,
  catalog: Catalog,
): Promise<WhatIfPlanner> => {
  if (whatIf === "shadow") return startShadow(catalog, { endPoints: await source.readEndPoints(catalog) });
  if (source.session !== null) return openHypopg(source.session, catalog);
  throw failure("usage", {
    problem: "HypoPG needs a server, and a snapshot is none",
    hint: "leave out --what-if hypopg",
  });
};

const doubtOf = (planner: WhatIfPlanner): string | null =>
  planner.name === "shadow" ? (planner as ShadowPlanner).doubt : null;

/** What the source's values, and who plans on them, allow to be believed. */
const doubted = (calibration: Calibration, doubt: string | null): Calibration =>
  doubt === null ? calibration : { ...calibration, confidence: "low", reason: doubt };
