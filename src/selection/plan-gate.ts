import type { ChosenIndex } from "../domain/index.ts";
import type { PlanRisk } from "../plan/index.ts";

/** A change of plan that is known to go wrong, in one statement, by one index. */
export interface IndexRisk extends PlanRisk {
  readonly indexId: string;
  readonly statementId: string;
}

/** An index that may not be advised for its plans. */
export interface RiskyIndex {
  readonly indexId: string;
  readonly code: PlanRisk["code"];
  readonly reason: string;
}

/** An index goes when more than this share of what it saves rests on plans that are doubted twice. */
const mostDoubted = 0.5;

/**
 * The indexes whose gain is doubted twice: by a change of plan known to go wrong when an estimate is wrong, and by a second reason, such as that the statement's
 * plans here were not the target's own, so that estimates are known to be wrong. One doubt alone lowers the confidence; live traffic settles it.
 * @param secondDoubt why this risk counts double, for people; null where it does not
 */
export const riskyIndexes = (
  chosen: readonly ChosenIndex[],
  risks: readonly IndexRisk[],
  secondDoubt: (risk: IndexRisk) => string | null,
): readonly RiskyIndex[] =>
  chosen.flatMap(({ index, gains = [] }): RiskyIndex[] => {
    const doubts = risks.flatMap((risk) => {
      const second = risk.indexId === index.id ? secondDoubt(risk) : null;
      return second === null ? [] : [{ ...risk, second }];
    });
    const [first] = doubts;
    if (first === undefined) return [];
    const sum = (of: typeof gains): number => of.reduce((total, { saving }) => total + Math.max(0, saving), 0);
    const doubted = sum(gains.filter(({ statementId }) => doubts.some((risk) => risk.statementId === statementId)));
    if (doubted <= mostDoubted * sum(gains)) return [];
    return [{ indexId: index.id, code: first.code, reason: `${first.reason}; and ${first.second}` }];
  });
