import type { Calibration, DeclinedCandidate, HypotheticalIndex, Statement, WhatIfPlanner } from "../domain/index.ts";
import { riskyIndexes, type SelectionResult } from "../selection/index.ts";
import { type PlanChanges, readPlanChanges } from "./plan-changes.ts";

export interface ReviewInput {
  readonly select: (candidates: readonly HypotheticalIndex[]) => Promise<SelectionResult>;
  readonly candidates: readonly HypotheticalIndex[];
  readonly planner: WhatIfPlanner;
  readonly statements: readonly Statement[];
  readonly calibrations: readonly Calibration[];
}

export interface Reviewed {
  readonly configuration: SelectionResult;
  readonly plans: PlanChanges;
}

/** Selects, looks at the plans that this gives, and selects again without the indexes that they forbid, until they forbid none. */
export const selectReviewed = async (input: ReviewInput): Promise<Reviewed> => {
  const { planner, statements } = input;
  const distrusted = new Set(
    input.calibrations.filter(({ confidence }) => confidence === "low").map(({ statementId }) => statementId),
  );
  const forbidden = new Map<string, DeclinedCandidate>();
  let calls = 0;
  for (;;) {
    const configuration = await input.select(input.candidates.filter(({ id }) => !forbidden.has(id)));
    const plans = await readPlanChanges(planner, statements, configuration);
    calls += plans.calls;
    const risky = riskyIndexes(configuration.create, plans.risks, (id) => distrusted.has(id));
    if (risky.length === 0) {
      const { totals } = configuration;
      return {
        configuration: {
          ...configuration,
          declined: [...forbidden.values(), ...configuration.declined],
          totals: { ...totals, whatIfCalls: totals.whatIfCalls + calls },
        },
        plans,
      };
    }
    for (const { indexId, code, reason } of risky) {
      const chosen = configuration.create.find(({ index }) => index.id === indexId);
      if (chosen === undefined) throw new Error("an index was reviewed that was not chosen");
      const { index, statementIds } = chosen;
      forbidden.set(indexId, { definition: index.definition, code, reason, statementIds });
    }
  }
};
