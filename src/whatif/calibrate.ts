import type { Binding, Calibration, ObservationScope, Statement, WhatIfPlanner } from "../domain/index.ts";
import { decodePlan, type Plan, planShape } from "../plan/index.ts";
import type { OwnScans, Session } from "../postgres/index.ts";
import { explainText, type PartOutcome, runParts, searchPathText } from "./explain-script.ts";

/** Costs that differ by no more than this are equal for us; the planner itself compares plans with a fuzz of 1 % (`STD_FUZZ_FACTOR`). */
const costTolerance = 0.01;

/** EXPLAINs per round trip. */
const partsPerTrip = 32;

export interface CalibrationStatement {
  readonly statement: Statement;
  /**
   * What to ask the target, per binding: the binding's own text for a SELECT, the SELECT that finds the same rows for a write (whose EXPLAIN
   * would need the privilege to write), null where there is none.
   */
  readonly calibrationSql: readonly (string | null)[];
}

/** A text for the target's planner, and as whom. */
export interface TargetQuestion {
  readonly scope: ObservationScope;
  readonly sql: string;
}

/** The target's own plans, in the order of the questions. */
export type TargetPlans = (questions: readonly TargetQuestion[]) => Promise<readonly PartOutcome<Plan>[]>;

export interface CalibrationInput {
  readonly target: TargetPlans;
  /** As whom the target was asked: row-level security and the role's settings make the same text another plan for another role. */
  readonly role: string;
  readonly planner: WhatIfPlanner;
  readonly statements: readonly CalibrationStatement[];
  /** What the what-if planner calls an existing index, to the target's name for it; the same by default. */
  readonly renameIndex?: (name: string) => string;
}

type Comparison =
  | { readonly kind: "unknown"; readonly reason: string }
  | { readonly kind: "compared"; readonly share: number; readonly target: Plan; readonly whatIf: Plan };

/**
 * Compares the what-if planner's baseline with the target's own EXPLAIN, statement by statement, in the order given.
 */
export const calibrate = async (input: CalibrationInput): Promise<Calibration[]> => {
  const questions = input.statements.flatMap((one, asked) =>
    questionsOf(one).map((question) => ({ asked, ...question })),
  );
  const whatIf = await input.planner.plan(
    questions.map(({ scope, binding }) => ({
      binding,
      scope: { ...scope, role: input.role },
      visible: new Set<string>(),
      hidden: new Set<number>(),
    })),
  );
  const target = await input.target(questions);
  const comparisons = input.statements.map((): Comparison[] => []);
  for (const [position, { asked, binding }] of questions.entries()) {
    const mine = whatIf[position];
    const theirs = target[position];
    if (mine === undefined || theirs === undefined)
      throw new Error("a planner answered fewer requests than it was asked");
    const comparison: Comparison =
      theirs.kind === "refused"
        ? { kind: "unknown", reason: `on the target: ${theirs.reason}` }
        : mine.kind === "failed"
          ? { kind: "unknown", reason: `in the what-if planner: ${mine.reason}` }
          : { kind: "compared", share: binding.share, target: theirs.value, whatIf: mine.plan };
    comparisons[asked]?.push(comparison);
  }
  const rename = input.renameIndex ?? ((name: string) => name);
  return input.statements.map(({ statement }, asked) => judge(statement, comparisons[asked] ?? [], rename));
};

/** What {@link calibrate} asks the target about one statement. */
export const questionsOf = ({
  statement,
  calibrationSql,
}: CalibrationStatement): readonly (TargetQuestion & { readonly binding: Binding })[] =>
  statement.bindings.flatMap((binding, position) => {
    const sql = calibrationSql[position] ?? null;
    return sql === null ? [] : [{ scope: statement.scope, sql, binding: { ...binding, sql } }];
  });

/**
 * Asks a live target. EXPLAIN only, in read-only transactions that are rolled back; the short time-outs of an `observe` session are the
 * protection. `ledger` is told which of the target's indexes that scanned.
 */
export const explainOnTarget =
  (session: Session, ledger: OwnScans | null = null): TargetPlans =>
  async (questions) => {
    const outcomes: PartOutcome<Plan>[] = [];
    for (let start = 0; start < questions.length; start += partsPerTrip) {
      const parts = questions.slice(start, start + partsPerTrip).map(({ scope, sql }) => ({
        sql: `${searchPathText(scope.searchPath)}\n${explainText(sql)}`,
        statements: 2,
        read: (results: readonly (readonly Record<string, unknown>[])[]) => decodePlan(results[1]?.[0]?.["QUERY PLAN"]),
      }));
      outcomes.push(...(await runParts(session, parts, ledger)));
    }
    return outcomes;
  };

const judge = (
  statement: Statement,
  comparisons: readonly Comparison[],
  rename: (index: string) => string,
): Calibration => {
  const compared = comparisons.filter((one) => one.kind === "compared");
  const unknown = comparisons.find((one) => one.kind === "unknown");
  const complete = unknown === undefined && compared.length === statement.bindings.length && compared.length > 0;
  const costs = {
    targetCost: complete ? sum(compared.map(({ share, target }) => share * target.root.totalCost)) : null,
    whatIfCost: complete ? sum(compared.map(({ share, whatIf }) => share * whatIf.root.totalCost)) : null,
  };
  const difference = compared
    .map((one) => describeDifference(one.target, one.whatIf, rename))
    .find((text) => text !== null);
  if (difference !== undefined) return { statementId: statement.id, confidence: "low", ...costs, reason: difference };
  if (complete) return { statementId: statement.id, confidence: "trusted", ...costs, reason: null };
  const reason = unknown?.reason ?? "there is no equivalent SELECT to ask the target about";
  return { statementId: statement.id, confidence: "unknown", ...costs, reason };
};

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

const describeDifference = (target: Plan, whatIf: Plan, rename: (index: string) => string): string | null => {
  const shapes = [planShape(target), planShape(whatIf, rename)] as const;
  const costs = [target.root.totalCost, whatIf.root.totalCost] as const;
  const numbers = `cost ${costs[0].toFixed(2)} on the target, ${costs[1].toFixed(2)} here`;
  if (shapes[0] !== shapes[1]) return `another plan: ${shapes[0]} on the target, ${shapes[1]} here; ${numbers}`;
  const larger = Math.max(costs[0], costs[1]);
  return larger > 0 && Math.abs(costs[0] - costs[1]) / larger > costTolerance
    ? `the same plan at another cost: ${numbers}`
    : null;
};
