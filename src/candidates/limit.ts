import type { Candidate, DeclinedCandidate } from "../domain/index.ts";

/**
 * Keeps the candidates that most of the workload may use: those of the heaviest statements first, among equals the narrower ones. This order only
 * decides what is *looked at* when there are too many; what is chosen is decided by planner cost.
 */
export const keepBest = (
  tables: readonly (readonly Candidate[])[],
  weights: ReadonlyMap<string, number>,
  limits: { readonly perTable: number; readonly total: number },
): { readonly kept: readonly Candidate[]; readonly declined: readonly DeclinedCandidate[] } => {
  const weightOf = (candidate: Candidate): number =>
    [...new Set(candidate.origins.map((origin) => origin.statementId))].reduce(
      (sum, id) => sum + (weights.get(id) ?? 1),
      0,
    );
  const weighed = new Map(tables.flat().map((candidate) => [candidate, weightOf(candidate)]));
  const importance = (candidate: Candidate): number => weighed.get(candidate) ?? 0;
  const columns = ({ definition }: Candidate): number => definition.keys.length + definition.include.length;
  const ranked = (candidates: readonly Candidate[]): Candidate[] =>
    candidates.toSorted((a, b) => importance(b) - importance(a) || columns(a) - columns(b) || (a.id < b.id ? -1 : 1));

  const perTable = tables.map((candidates) => ranked(candidates).slice(0, limits.perTable));
  const kept = ranked(perTable.flat()).slice(0, limits.total);
  const ids = new Set(kept.map((candidate) => candidate.id));
  const cut = tables.flat().filter((candidate) => !ids.has(candidate.id));
  return {
    kept,
    declined: cut.map(({ definition, origins }) => ({
      definition,
      code: "candidate_limit",
      reason: `not examined: ${String(cut.length)} candidates are over the limit of ${String(limits.perTable)} per table and ${String(limits.total)} in all`,
      statementIds: [...new Set(origins.map((origin) => origin.statementId))],
    })),
  };
};
