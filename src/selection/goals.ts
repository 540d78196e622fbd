import { type SelectionInput, type SelectionResult, selectOnce } from "./select.ts";

/**
 * The best configuration that is found for the goal.
 * @throws the signal's reason when cancelled
 */
export const selectConfiguration = (input: SelectionInput): Promise<SelectionResult> => {
  if (input.goal === "worst-query") return selectForWorst(input);
  if (input.goal === "storage") return selectForStorage(input);
  return selectOnce(input);
};

/** Searches for the dearest call; each begins with what the last one found to be dear. */
const searchesForWorst = 6;
/** How fast what is dear gains weight, from search to search. */
const attention = 3;

/**
 * The least dear worst call, by multiplicative weights (Arora, Hazan and Kale, Theory of Computing 2012): a sum is minimised, and what is still dear in the answer
 * weighs more in the next one.
 */
const selectForWorst = async (input: SelectionInput): Promise<SelectionResult> => {
  const calls = new Map(input.statements.map((statement) => [statement.id, Math.max(statement.calls, 1)]));
  const emphasis = new Map([...calls].map(([id, times]) => [id, 1 / times]));
  const search = within(input);
  let best: { readonly result: SelectionResult; readonly worst: number } | null = null;
  for (let round = 0; round < searchesForWorst; round += 1) {
    const result = await selectOnce({ ...search(), proofRounds: 0 }, new Map(emphasis));
    const costs = costsOfCalls(input, result);
    const worst = Math.max(0, ...costs.values());
    const isBetter =
      best === null ||
      worst < best.worst ||
      (worst === best.worst && result.totals.costAfter < best.result.totals.costAfter);
    if (isBetter) best = { result, worst };
    if (!result.complete || worst === 0) break;
    for (const [id, cost] of costs) emphasis.set(id, (emphasis.get(id) ?? 1) * Math.exp((attention * cost) / worst));
  }
  if (best === null) throw new Error("no search was made");
  return { ...best.result, totals: { ...best.result.totals, ...asked(input) } };
};

/** What one call costs afterwards: milliseconds where they are known, else planner cost. */
const costsOfCalls = ({ statements }: SelectionInput, result: SelectionResult): ReadonlyMap<string, number> => {
  const times = new Map(statements.map(({ id, calls, totalMs }) => [id, (totalMs ?? 0) / Math.max(calls, 1)]));
  return new Map(
    result.statements.map(({ statementId, costBefore, costAfter }) => {
      const isTimed = result.unit === "milliseconds" && costBefore > 0;
      return [statementId, isTimed ? ((times.get(statementId) ?? 0) * costAfter) / costBefore : costAfter];
    }),
  );
};

/** Of what the whole budget saves, so much must be saved. */
const enough = 0.9;
/** Halvings of the budget between nothing and what the best set takes: to a sixty-fourth of it. */
const halvings = 6;

const selectForStorage = async (input: SelectionInput): Promise<SelectionResult> => {
  const search = within(input);
  const full = await selectOnce(search());
  const savingOf = ({ totals }: SelectionResult): number => totals.costBefore - totals.costAfter;
  let best = full;
  let [least, most] = [0, full.totals.sizeBytes];
  for (let halving = 0; halving < halvings && most > 0 && best.complete; halving += 1) {
    const budgetBytes = (least + most) / 2;
    const result = await selectOnce({ ...search(), budgetBytes, proofRounds: 0 });
    if (savingOf(result) >= enough * savingOf(full)) {
      best = result;
      most = Math.min(budgetBytes, result.totals.sizeBytes);
    } else {
      least = budgetBytes;
    }
  }
  // No set within the whole budget costs less than its bound, whatever it takes.
  const { bound = 0 } = full.totals;
  const { costAfter } = best.totals;
  const gap = costAfter > 0 ? Math.max(0, costAfter - bound) / costAfter : 0;
  return { ...best, totals: { ...best.totals, bound, gap, ...asked(input) }, solverMs: full.solverMs };
};

/** All that was asked so far, by whichever search. */
const asked = ({ costs }: SelectionInput) => ({ whatIfCalls: costs.whatIfCalls, skippedCalls: costs.skipped });

/** The same input for one search after another, with the time that is left. */
const within = (input: SelectionInput): (() => SelectionInput) => {
  const { maxMs, clock } = input;
  const startedMs = clock.monotonicMs();
  return () => (maxMs === undefined ? input : { ...input, maxMs: maxMs - (clock.monotonicMs() - startedMs) });
};
