import type { Calibration, DeclinedStatement, IndexDefinition, Statement, WhatIfResult } from "../domain/index.ts";
import { failure } from "../errors.ts";
import { type PlanAnswer } from "../snapshot/index.ts";
import { questionsOf } from "../whatif/index.ts";
import { confidenceOfStatement, queryName } from "./advice.ts";
import { type AdviseInput, withAdvice } from "./advise.ts";
import type { TargetSource } from "./source.ts";

/** One executable text of a statement, planned three times. */
export interface ExplainedBinding {
  /** Its share of the statement's calls. */
  readonly share: number;
  /** The target's own plan; for a write, that of the SELECT which finds the same rows. */
  readonly target: PlanAnswer;
  /** The what-if planner's of the same text, as the same role. */
  readonly whatIf: WhatIfResult;
  /** The what-if planner's of the statement itself, with all indexes of the advice. */
  readonly advised: WhatIfResult;
  /** Those it uses. */
  readonly uses: readonly IndexDefinition[];
}

export interface Explained {
  readonly statement: Statement;
  readonly name: string;
  readonly calibration: Calibration;
  readonly bindings: readonly ExplainedBinding[];
}

export interface Explanation {
  readonly planner: "shadow" | "hypopg";
  readonly statements: readonly Explained[];
  /** Those that cannot be planned, and why. */
  readonly declined: readonly DeclinedStatement[];
  /** What the planner calls the indexes of the advice in its plans. */
  readonly planNames: ReadonlyMap<string, IndexDefinition>;
}

/** A source whose workload is only what begins with this fingerprint. @throws IndexPilotError `workload_empty` where nothing does */
export const onlyFingerprint = (source: TargetSource, prefix: string): TargetSource => ({
  ...source,
  readWorkload: async (catalog) => {
    const workload = await source.readWorkload(catalog);
    const isMeant = ({ fingerprint }: { readonly fingerprint: string | null }): boolean =>
      fingerprint?.startsWith(prefix) === true;
    const [statements, declined] = [workload.statements.filter(isMeant), workload.declined.filter(isMeant)];
    if (statements.length + declined.length > 0) return { ...workload, statements, declined };
    if ((workload.minor ?? []).some(({ fingerprint }) => fingerprint.startsWith(prefix))) {
      throw failure("workload_empty", {
        detail: `what begins with ${prefix} is among the statements that take the last per cent of the time, which are not planned`,
        hint: "give its text instead: indexpilot explain 'select …'",
      });
    }
    throw failure("workload_empty", {
      detail: `none of ${String(workload.statements.length)} statements has a fingerprint that begins with ${prefix}`,
      hint: "`indexpilot advise --json` lists the fingerprints",
    });
  },
});

/**
 * How each statement of the source's workload is planned: on the target, by the what-if planner, and by that with the indexes it advises for this
 * workload. EXPLAIN only; changes nothing. @throws as `advise` does, and `workload_empty` where no statement uses a table
 */
export const explain = (input: AdviseInput): Promise<Explanation> =>
  withAdvice(input, async (advice, planner, explainable) => {
    if (explainable.length === 0) {
      throw failure("workload_empty", {
        detail: "nothing of it uses a table",
        hint: "give a statement that does: only those have plans that an index could change",
      });
    }
    const { source } = input;
    const create = advice.configuration.create.map(({ index }) => index);
    const visible = new Set(create.map(({ id }) => id));
    const none = { visible: new Set<string>(), hidden: new Set<number>() };
    const byName = new Map(
      create.flatMap(({ id, planName, definition }) => [[id, definition] as const, [planName, definition] as const]),
    );
    const statements: Explained[] = [];
    // One after the other: a session does one thing at a time.
    for (const one of explainable) {
      const { statement } = one;
      const questions = questionsOf(one);
      const targets = await source.plans(questions);
      const baselines = await planner.plan(
        questions.map(({ scope, binding }) => ({ ...none, binding, scope: { ...scope, role: source.role } })),
      );
      const advised = await planner.plan(
        statement.bindings.map((binding) => ({ ...none, visible, binding, scope: statement.scope })),
      );
      const asked = one.calibrationSql.map((sql, at) =>
        sql === null ? null : one.calibrationSql.slice(0, at).filter((earlier) => earlier !== null).length,
      );
      const unasked = { reason: "there is no equivalent SELECT to ask about" };
      statements.push({
        statement,
        name: queryName(advice, statement.id),
        calibration: confidenceOfStatement(advice, statement.id),
        bindings: statement.bindings.map((binding, at): ExplainedBinding => {
          const question = asked[at] ?? null;
          const withAdvice = advised[at] ?? { kind: "failed", ...unasked };
          const used = withAdvice.kind === "planned" ? withAdvice.usedIndexes : [];
          return {
            share: binding.share,
            target: (question === null ? undefined : targets[question]) ?? { kind: "refused", ...unasked },
            whatIf: (question === null ? undefined : baselines[question]) ?? { kind: "failed", ...unasked },
            advised: withAdvice,
            uses: [...new Set(used.flatMap((name) => byName.get(name) ?? []))],
          };
        }),
      });
    }
    return { planner: planner.name, statements, declined: advice.workload.declined, planNames: byName };
  });
