import type { SearchContext } from "./algorithm.ts";
import { bySaving, bySavingPerByte, fill, relax } from "./greedy.ts";
import type { Chosen } from "./objective.ts";

/** Improvements below this share of the cost are rounding. */
export const leastImprovement = 1e-6;

/**
 * Exchanges until none helps: take nothing, one or two indexes away, fill the room greedily (both ways), keep what is cheaper by the known upper bounds.
 * Adding, dropping, and swapping one or two for any number are all of this form.
 */
export const improve = (context: SearchContext, start: Chosen): Chosen => {
  let best = start;
  for (;;) {
    const found = onePass(context, best);
    if (found === best) return best;
    best = found;
  }
};

/** Each exchange of the set once, on what the ones before have made of it. */
const onePass = (context: SearchContext, start: Chosen): Chosen => {
  const { objective, allowed } = context;
  const neighbours = new Map<number, readonly number[]>();
  const opened = (number: number): readonly number[] => {
    const known = neighbours.get(number) ?? [...objective.neighbours(number)].filter((other) => allowed.has(other));
    neighbours.set(number, known);
    return known;
  };
  let best = start;
  let [base, threshold, open] = stateOf(context, best);
  for (const removed of removals(context, [...start])) {
    if (context.exhausted()) return best;
    if (!removed.every((number) => best.has(number))) continue;
    const rest = base.copy();
    for (const number of removed) rest.remove(number);
    const among = new Set([...open, ...removed.flatMap(opened)]);
    for (const preference of [bySaving, bySavingPerByte]) {
      const trial = fill({ ...context, allowed: among }, rest.copy(), preference, removed);
      // What was there before may bring less beside what came.
      if (trial.cost() >= threshold || relax(context, trial).cost() >= threshold) continue;
      best = new Set(trial.members);
      [base, threshold, open] = stateOf(context, best);
      break;
    }
  }
  return best;
};

const stateOf = ({ objective, allowed }: SearchContext, chosen: Chosen) => {
  const base = objective.trial(chosen);
  // What brings nothing now brings something only when one is taken away that serves the same statement.
  const open = [...allowed].filter((number) => base.effect(number).saving > 0);
  return [base, objective.value(chosen).upper * (1 - leastImprovement), open] as const;
};

/** Up to so many chosen indexes, any two are tried together: 435 pairs. Above, only those that have a statement in common. */
const allPairsUpTo = 30;

function* removals({ objective }: SearchContext, chosen: readonly number[]): Generator<readonly number[]> {
  yield [];
  for (const number of chosen) yield [number];
  for (const [position, first] of chosen.entries()) {
    for (const second of chosen.slice(position + 1)) {
      if (chosen.length <= allPairsUpTo || objective.interact(first, second)) yield [first, second];
    }
  }
}
