import type { SearchContext } from "./algorithm.ts";
import { byBenefit, byBenefitPerByte, fill } from "./greedy.ts";
import type { Chosen } from "./objective.ts";

const leastImprovement = 1e-6;

/**
 * Exchanges until none helps: take nothing, one or two indexes away, fill the room greedily (both ways), keep what is cheaper by the known upper bounds.
 * Adding, dropping, and swapping one or two for any number are all of this form.
 */
export const improve = (context: SearchContext, start: Chosen): Chosen => {
  const { objective } = context;
  let best = start;
  let cost = objective.value(best).upper;
  for (;;) {
    const found = firstBetter(context, best, cost * (1 - leastImprovement));
    if (found === null) return best;
    best = found;
    cost = objective.value(best).upper;
  }
};

const firstBetter = (context: SearchContext, chosen: Chosen, threshold: number): Chosen | null => {
  for (const removed of removals([...chosen])) {
    if (context.exhausted()) return null;
    const rest = new Set(chosen);
    for (const number of removed) rest.delete(number);
    const others = { ...context, allowed: new Set([...context.allowed].filter((number) => !removed.includes(number))) };
    for (const preference of [byBenefit, byBenefitPerByte]) {
      const set = fill(others, rest, preference);
      if (context.objective.value(set).upper < threshold) return set;
    }
  }
  return null;
};

function* removals(chosen: readonly number[]): Generator<readonly number[]> {
  yield [];
  for (const number of chosen) yield [number];
  for (const [position, first] of chosen.entries()) {
    for (const second of chosen.slice(position + 1)) yield [first, second];
  }
}
