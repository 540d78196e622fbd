import type {
  Calibration,
  Catalog,
  ChosenIndex,
  Configuration,
  HypotheticalIndex,
  Statement,
  TableAccess,
  Workload,
} from "../domain/index.ts";
import { quoteName, renderCreateIndex } from "../postgres/index.ts";
import { sizeErrorOf } from "../shadow/index.ts";
import type { UpkeepModel } from "../upkeep/index.ts";
import type { PlanChanges } from "./plan-changes.ts";
import { minorPartOf } from "./minor.ts";
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
  readonly configuration: Configuration;
  readonly budgetBytes: number;
  /** What each index costs by being there, or why nothing was charged. */
  readonly upkeep: UpkeepModel;
  /** The plans of the statements that the configuration serves, before and after, and what in the change is known to go wrong. */
  readonly plans: PlanChanges;
  /** By `definitionId`: indexes that can be advised and not built by us, and why. */
  readonly obstacles: ReadonlyMap<string, string>;
}

export type Confidence = "high" | "low" | "unknown";

/** A reason to believe less in an index. */
export interface Doubt {
  readonly level: Exclude<Confidence, "high">;
  /**
   * A blind spot's or a plan risk's code, or `uncertain_size` (nothing tells how an expression's values are spread), `not_the_targets_plan`,
   * `guessed_values`, `not_compared`.
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

// Counts only: the milliseconds come from a measurement, and two documents of one advice shall be equal.
const upkeepCounts = (advice: Advice, index: HypotheticalIndex) => {
  if (advice.upkeep.kind === "free") return null;
  const { entries, lostHotUpdates } = advice.upkeep.of(index);
  return { entries, lostHotUpdates };
};

/** The same advice as one JSON document: what `advise --json` prints and other surfaces will show. */
export const adviceDocument = (advice: Advice) => {
  const { configuration, workload, catalog } = advice;
  const costs = new Map(configuration.statements.map((one) => [one.statementId, one]));
  const label = (id: string): string => queryName(advice, id);
  const calibrations = [...advice.calibrations.values()];
  const count = (confidence: Calibration["confidence"]): number =>
    calibrations.filter((calibration) => calibration.confidence === confidence).length;
  return {
    server: {
      host: catalog.server.host,
      port: catalog.server.port,
      database: catalog.server.database,
      versionNum: catalog.server.versionNum,
      node: catalog.server.node,
    },
    workload: {
      source: workload.source,
      observedFrom: workload.observedFrom?.toISOString() ?? null,
      observedTo: workload.observedTo?.toISOString() ?? null,
      statements: workload.statements.length + (workload.minor?.length ?? 0),
      minor: minorPartOf(advice),
      declined: workload.declined,
    },
    whatIf: {
      planner: advice.planner,
      trusted: count("trusted"),
      low: count("low"),
      unknown: count("unknown"),
      leftOut: advice.leftOut,
      blindSpots: advice.blindSpots,
    },
    budgetBytes: advice.budgetBytes,
    create: configuration.create.map((chosen) => {
      const { definition } = chosen.index;
      const confidence = confidenceOf(advice, chosen);
      return {
        definition: renderCreateIndex(definition, null, { concurrently: false }),
        table: `${definition.table.schema}.${definition.table.name}`,
        columns: definition.keys.map((key) => key.column),
        include: definition.include,
        queries: chosen.statementIds.map(label),
        costBefore: chosen.costBefore,
        costAfter: chosen.costAfter,
        sizeBytes: chosen.index.estimatedBytes,
        sizeRange: sizeRangeOf(chosen.index),
        obstacle: advice.obstacles.get(chosen.index.id) ?? null,
        upkeep: upkeepCounts(advice, chosen.index),
        confidence: confidence.level,
        confidenceReason: confidence.reason,
      };
    }),
    drop: configuration.drop.map((drop) => ({
      name: drop.index.name,
      table: `${drop.table.schema}.${drop.table.name}`,
      definition: drop.index.definition,
      sizeBytes: drop.index.sizeBytes,
      code: drop.code,
      reason: drop.reason,
    })),
    declined: configuration.declined.map((declined) => ({
      definition: renderCreateIndex(declined.definition, null, { concurrently: false }),
      table: `${declined.definition.table.schema}.${declined.definition.table.name}`,
      code: declined.code,
      reason: declined.reason,
      queries: declined.statementIds.map(label),
    })),
    queries: workload.statements.map((statement) => {
      const cost = costs.get(statement.id);
      const calibration = advice.calibrations.get(statement.id);
      return {
        label: queryName(advice, statement.id),
        fingerprint: statement.fingerprint,
        text: workload.source === "files" ? null : statement.text,
        role: statement.scope.role,
        calls: statement.calls,
        totalMs: statement.totalMs,
        costBefore: cost?.costBefore ?? null,
        costAfter: cost?.costAfter ?? null,
        confidence: calibration?.confidence ?? "unknown",
        confidenceReason: advice.failed.get(statement.id) ?? calibration?.reason ?? null,
      };
    }),
    totals: configuration.totals,
  };
};
