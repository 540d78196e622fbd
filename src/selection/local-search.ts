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
  const { objective } = context;
  let best = start;
  for (;;) {
    const found = firstBetter(context, best, objective.value(best).upper * (1 - leastImprovement));
    if (found === null) return best;
    best = found;
  }
};

const firstBetter = (context: SearchContext, chosen: Chosen, threshold: number): Chosen | null => {
  const base = context.objective.trial(chosen);
  for (const number of context.allowed) base.effect(number);
  for (const removed of removals(context, [...chosen])) {
    if (context.exhausted()) return null;
    const rest = base.copy();
    for (const number of removed) rest.remove(number);
    for (const preference of [bySaving, bySavingPerByte]) {
      const trial = fill(context, rest.copy(), preference, removed);
      // What was there before may bring less beside what came.
      if (trial.cost() < threshold && relax(context, trial).cost() < threshold) return trial.members;
    }
  }
  return null;
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
