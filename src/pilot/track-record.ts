import type { Deployment } from "../domain/index.ts";
import { readServerIdentity, type Session } from "../postgres/index.ts";
import { regularizedIncompleteBeta } from "../statistics/index.ts";
import { observeDeployments } from "../store/index.ts";

/** What a verdict is made of, as far as the record needs it. */
export type Judged = Pick<Deployment, "kind" | "indexName" | "rationale" | "verdict">;

/** What was promised of one index, and what came of it: the relative change of the time (predicted: cost) of the statements that it serves. */
export interface PredictedAndMeasured {
  readonly indexName: string;
  /** −0.9: a tenth of the cost is left. */
  readonly predicted: number;
  readonly measured: number;
}

/** How our own predictions and changes have fared in this database. */
export interface TrackRecord {
  /** Indexes with a verdict that says something, and those of them that were not better and so were taken back. */
  readonly decided: number;
  readonly reverted: number;
  /** Indexes whose last verdict was undecided. */
  readonly undecided: number;
  /** Oldest first; also of the undecided, where both are known. */
  readonly gains: readonly PredictedAndMeasured[];
  /** Median over the decided of measured saving / predicted saving: 1 where predictions hold; null where none was promised. */
  readonly achieved: number | null;
}

export const trackRecordOf = (deployments: readonly Judged[]): TrackRecord => {
  const judged = deployments.flatMap(({ kind, verdict, ...of }) =>
    kind === "create" && verdict !== null ? [{ ...of, verdict }] : [],
  );
  const decided = judged.filter(({ verdict }) => verdict.outcome !== "undecided");
  const compared = (some: typeof judged): readonly PredictedAndMeasured[] =>
    some.flatMap(({ indexName, rationale, verdict }) => {
      const predicted = predictedChange(rationale);
      const measured = measuredChange(rationale, verdict);
      return predicted === null || measured === null ? [] : [{ indexName, predicted, measured }];
    });
  const ratios = compared(decided)
    .filter(({ predicted }) => predicted < 0)
    .map(({ predicted, measured }) => measured / predicted)
    .toSorted((a, b) => a - b);
  const [low, high] = [ratios[Math.floor((ratios.length - 1) / 2)], ratios[Math.floor(ratios.length / 2)]];
  return {
    decided: decided.length,
    reverted: decided.filter(({ verdict }) => verdict.outcome !== "better").length,
    undecided: judged.length - decided.length,
    gains: compared(judged),
    achieved: low === undefined || high === undefined ? null : (low + high) / 2,
  };
};

/** Of the planner's cost of the statements served. */
export const predictedChange = ({ costBefore, costAfter }: Judged["rationale"]): number | null =>
  costBefore === null || costAfter === null || !(costBefore > 0) ? null : costAfter / costBefore - 1;

/** Of the time of the statements served, each at its calls before the change; null unless each was measured on both sides. */
export const measuredChange = (
  { statementIds }: Judged["rationale"],
  verdict: NonNullable<Judged["verdict"]>,
): number | null => {
  const served = new Set(statementIds);
  let [before, after] = [0, 0];
  for (const { statementId, meanMsBefore, meanMsAfter, callsBefore } of verdict.statements) {
    if (!served.has(statementId) || meanMsBefore === null) continue;
    if (meanMsAfter === null) return null;
    before += callsBefore * meanMsBefore;
    after += callsBefore * meanMsAfter;
  }
  return before > 0 ? after / before - 1 : null;
};

/** About what Azure SQL Database takes back of its own indexes (Das et al. 2019, Automatically Indexing Millions of Databases in Microsoft Azure SQL Database, SIGMOD). */
const usualRevertRate = 0.11;

/** The record over a session that only observes; null where nothing was changed, or the store may not be read. */
export const trackRecordSeen = async (session: Session): Promise<TrackRecord | null> => {
  const deployments = await observeDeployments(session, await readServerIdentity(session));
  return deployments === null ? null : trackRecordOf(deployments);
};

/**
 * Why advice for this database deserves less belief than its planner says; null where the record gives no reason. More reverts than are usual, by the lower
 * end of an exact one-sided 95 % interval (Clopper & Pearson 1934, Biometrika 26), so that a single bad index says nothing; or savings that were mostly
 * less than half of what was promised.
 */
export const doubtOfRecord = ({
  decided,
  reverted,
  achieved,
}: TrackRecord): { readonly code: "often_reverted" | "promised_too_much"; readonly reason: string } | null => {
  if (reverted > 0 && chanceOfAtLeast(reverted, decided, usualRevertRate) < 0.05) {
    return {
      code: "often_reverted",
      reason: `${String(reverted)} of the ${String(decided)} indexes with a verdict in this database were taken back, more than is usual (11 %)`,
    };
  }
  if (decided >= 4 && achieved !== null && achieved < 0.5) {
    return {
      code: "promised_too_much",
      reason: `the ${String(decided)} indexes with a verdict in this database brought ${(Math.max(0, achieved) * 100).toFixed(0)} % of the promised saving (median)`,
    };
  }
  return null;
};

/** P(X ≥ k) for n independent trials of probability p (DLMF 8.17.5). */
const chanceOfAtLeast = (k: number, n: number, p: number): number => regularizedIncompleteBeta(p, k, n - k + 1);
