import { generateCandidates, redundantIndexes } from "../candidates/index.ts";
import { defaults } from "../config/index.ts";
import {
  type Catalog,
  type Statement,
  type TableAccess,
  tableId,
  type WhatIfPlanner,
  type Workload,
} from "../domain/index.ts";
import { failure } from "../errors.ts";
import { type OwnScans, readCatalog, type Session } from "../postgres/index.ts";
import type { Clock } from "../runtime/index.ts";
import { selectConfiguration } from "../selection/index.ts";
import { readEndPoints, type ShadowPlanner, startShadow } from "../shadow/index.ts";
import { analyseAccess, loadParser, parseStatement, toSelect } from "../sql/index.ts";
import { calibrate, createCostModel, openHypopg } from "../whatif/index.ts";
import { resolverFor } from "../workload/index.ts";
import type { Advice } from "./advice.ts";
import type { Emit } from "./events.ts";

export interface AdviseOptions {
  readonly budgetBytes: number;
  readonly whatIf: "shadow" | "hypopg";
  readonly maxColumns: number;
}

export interface AdviseInput extends AdviseOptions {
  /** An `observe` session on the target. */
  readonly session: Session;
  readonly workloadOf: (catalog: Catalog) => Promise<Workload>;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly emit: Emit;
  /** Told how often our own EXPLAINs scanned each of the target's indexes, by OID. */
  readonly onOwnScans?: (scans: ReadonlyMap<number, number>) => Promise<void>;
}

const count = (n: number, noun: string): string => `${String(n)} ${noun}${n === 1 ? "" : "s"}`;

/**
 * Observe → analyse → what-if → select. Reads the target and changes nothing on it.
 * @throws IndexPilotError `workload_empty` when no statement can be analysed
 */
export const advise = async (input: AdviseInput): Promise<Advice> => {
  const { session, emit, signal } = input;
  await loadParser();
  emit({ kind: "step", text: "reading the catalogue and the planner's statistics" });
  const catalog = await readCatalog(session);
  emit({
    kind: "note",
    text: `${count(catalog.tables.length, "table")}, ${count(catalog.tables.flatMap((t) => t.indexes).length, "index").replace("indexs", "indexes")}`,
  });
  signal.throwIfAborted();
  const workload = await input.workloadOf(catalog);
  if (workload.statements.length === 0) {
    const [first] = workload.declined;
    throw failure("workload_empty", {
      detail:
        first === undefined
          ? "nothing has been recorded in this database"
          : `${count(workload.declined.length, "statement")} left out, e.g. ${first.label}: ${first.reason}`,
      hint: "let the application run for a while, watch it with --observe 10m, or give SQL files with --queries 'dir/*.sql'",
    });
  }
  const accesses = accessesOf(workload, catalog);
  const explainable = workload.statements.filter((statement) => (accesses.get(statement.id) ?? []).length > 0);
  const candidates = generateCandidates({
    statements: workload.statements.map((statement) => ({
      statementId: statement.id,
      accesses: accesses.get(statement.id) ?? [],
      weight: statement.totalMs ?? statement.calls,
    })),
    catalog,
    maxColumns: input.maxColumns,
  });
  emit({
    kind: "step",
    text: `${count(workload.statements.length, "statement")}, ${count(candidates.candidates.length, "candidate")}; starting the ${input.whatIf === "shadow" ? "shadow planner" : "target's HypoPG"}`,
  });
  const ledger: OwnScans = new Map();
  const planner = await openPlanner(input, catalog, ledger);
  try {
    const hypothetical = await planner.register(candidates.candidates.map((candidate) => candidate.definition));
    signal.throwIfAborted();
    emit({ kind: "step", text: "comparing its plans with the target's own" });
    const calibrations = await calibrate({
      session,
      planner,
      ledger,
      statements: explainable.map((statement) => ({
        statement,
        calibrationSql: statement.bindings.map((binding) => calibrationText(statement, binding.sql)),
      })),
    });
    await input.onOwnScans?.(ledger);
    signal.throwIfAborted();
    emit({ kind: "step", text: "searching the best set of indexes" });
    const costs = createCostModel({ planner, statements: explainable, accesses, hypothetical });
    const configuration = await selectConfiguration({
      statements: explainable,
      candidates: hypothetical,
      costs,
      budgetBytes: input.budgetBytes,
      drops: planner.canHide ? redundantIndexes(catalog) : [],
      clock: input.clock,
      signal,
      onProgress: ({ cost, costBefore, whatIfCalls }) => {
        emit({
          kind: "progress",
          share: null,
          text: `${count(whatIfCalls, "what-if call")}, cost at ${((cost / Math.max(costBefore, 1e-9)) * 100).toFixed(1)} %`,
        });
      },
    });
    return {
      catalog,
      workload,
      accesses,
      planner: planner.name,
      leftOut: "leftOut" in planner ? (planner as ShadowPlanner).leftOut : [],
      calibrations: new Map(calibrations.map((one) => [one.statementId, one])),
      failed: new Map(configuration.unplanned.map((one) => [one.statementId, one.reason])),
      configuration: { ...configuration, declined: [...candidates.declined, ...configuration.declined] },
      budgetBytes: input.budgetBytes,
    };
  } finally {
    await planner.close();
  }
};

const openPlanner = async (input: AdviseInput, catalog: Catalog, ledger: OwnScans): Promise<WhatIfPlanner> =>
  input.whatIf === "shadow"
    ? startShadow(catalog, { endPoints: await readEndPoints(input.session, catalog, ledger) })
    : openHypopg(input.session, catalog);

// A SELECT's EXPLAIN asks for no more than reading; a write is compared by the SELECT that finds the same rows.
const calibrationText = (statement: Statement, sql: string): string | null =>
  statement.verb === "select" ? sql : toSelect(sql);

const accessesOf = (workload: Workload, catalog: Catalog): ReadonlyMap<string, readonly TableAccess[]> => {
  const known = new Set(catalog.tables.map(tableId));
  return new Map(
    workload.statements.map((statement) => {
      const parsed = parseStatement(statement.text);
      if (parsed.kind !== "parsed")
        throw new Error(`the workload holds a statement that does not parse: ${statement.label}`);
      const { accesses } = analyseAccess(parsed.statement, resolverFor(catalog, statement.scope.searchPath).lookup);
      return [statement.id, accesses.filter((access) => known.has(tableId(access.table)))];
    }),
  );
};

/** The defaults of every analysis. */
export const adviseDefaults: AdviseOptions = {
  budgetBytes: defaults.budgetBytes,
  whatIf: "shadow",
  maxColumns: defaults.maxColumns,
};
