import type {
  Calibration,
  DeclinedCandidate,
  HypotheticalIndex,
  Statement,
  TableAccess,
  WhatIfPlanner,
} from "../domain/index.ts";
import { type IndexRisk, riskyIndexes, type SelectionResult } from "../selection/index.ts";
import { type PlanChanges, readPlanChanges } from "./plan-changes.ts";

export interface ReviewInput {
  readonly select: (candidates: readonly HypotheticalIndex[]) => Promise<SelectionResult>;
  readonly candidates: readonly HypotheticalIndex[];
  readonly planner: WhatIfPlanner;
  readonly statements: readonly Statement[];
  readonly calibrations: readonly Calibration[];
  /** By statement id. */
  readonly accesses: ReadonlyMap<string, readonly TableAccess[]>;
}

export interface Reviewed {
  readonly configuration: SelectionResult;
  readonly plans: PlanChanges;
}

/** Selecting anew takes its time; what is still at risk after so many rounds is kept, and said to be. */
const mostRounds = 8;

/** Selects, looks at the plans that this gives, and selects again without the indexes that they forbid, until they forbid none. */
export const selectReviewed = async (input: ReviewInput): Promise<Reviewed> => {
  const { planner, statements } = input;
  const forbidden = new Map<string, DeclinedCandidate>();
  let calls = 0;
  for (let round = 1; ; round += 1) {
    const configuration = await input.select(input.candidates.filter(({ id }) => !forbidden.has(id)));
    const plans = await readPlanChanges(planner, statements, configuration);
    calls += plans.calls;
    const risky = round > mostRounds ? [] : riskyIndexes(configuration.create, plans.risks, secondDoubts(input));
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

/**
 * Why a risk counts double: the planner's estimates are known to be wrong, or all there is to gain is for a value that was drawn by chance. Ranges are drawn
 * narrow and wide on purpose, so that for them it is no chance.
 */
const secondDoubts = ({ calibrations, statements, accesses }: ReviewInput): ((risk: IndexRisk) => string | null) => {
  const confidence = new Map(calibrations.map((one) => [one.statementId, one.confidence]));
  const drawn = new Set(
    statements
      .filter(
        ({ id, bindings }) =>
          bindings.every(({ source }) => source !== "literal") &&
          (accesses.get(id) ?? []).every(({ range }) => range.length === 0),
      )
      .map(({ id }) => id),
  );
  return ({ code, statementId }) => {
    if (confidence.get(statementId) === "low")
      return "the planner's estimates for this statement are not the target's own";
    return code === "skewed_parameter" && drawn.has(statementId)
      ? "which values the calls really ask for is not known"
      : null;
  };
};
