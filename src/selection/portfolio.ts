import type { SearchContext } from "./algorithm.ts";
import { byBenefit, byBenefitPerByte, fill, relax } from "./greedy.ts";
import { improve } from "./local-search.ts";
import type { Chosen } from "./objective.ts";

/** Sets learned about per round beyond the neighbours; each costs a few EXPLAINs. */
const promisingPerRound = 24;
/** Improvements below this share of the cost are rounding. */
const leastImprovement = 1e-6;

/**
 * A portfolio of greedy searches, each improved by exchanges, over costs that are learned only where it matters.
 *
 * The search itself runs on upper bounds of the costs known so far, without calls; then the planner is asked about the best set, its neighbours
 * (one more, one less), and those exchanges that the lower bounds still allow to be better. What is learned can show a better set, and so on until it
 * does not. No single greedy order wins everywhere: per byte for small budgets, plain benefit where large indexes pay, relaxation from
 * the unconstrained optimum where indexes need each other.
 */
export const portfolioWithSwaps = async (context: SearchContext): Promise<Chosen> => {
  const { objective } = context;
  let best = context.start;
  let bestCost = objective.value(best).upper;
  await objective.learn([context.allowed, best]);
  for (;;) {
    const starts = [
      best,
      fill(context, new Set(), byBenefitPerByte),
      fill(context, new Set(), byBenefit),
      relax(context, context.allowed),
    ];
    const found: Chosen[] = [];
    for (const start of starts) if (!context.exhausted()) found.push(improve(context, start));
    await objective.learn(found);
    const before = bestCost;
    for (const set of found) {
      const cost = objective.value(set).upper;
      if (cost < bestCost * (1 - leastImprovement)) {
        best = set;
        bestCost = cost;
      }
    }
    if (context.exhausted()) return best;
    await objective.learn(neighbours(context, best));
    await objective.learn(promising(context, best, objective.value(best).upper));
    bestCost = Math.min(bestCost, objective.value(best).upper);
    context.onImprovement(bestCost);
    const next = improve(context, best);
    const nextCost = objective.value(next).upper;
    if (nextCost < bestCost * (1 - leastImprovement)) {
      best = next;
      bestCost = nextCost;
    } else if (bestCost >= before * (1 - leastImprovement) || context.exhausted()) {
      return best;
    }
  }
};

// One more (whether or not it fits: its cost tells about exchanges) and one less.
const neighbours = ({ objective, allowed }: SearchContext, chosen: Chosen): Chosen[] => [
  ...[...allowed]
    .filter((number) => !chosen.has(number) && objective.isUsable(number))
    .map((number) => new Set(chosen).add(number)),
  ...[...chosen].map((number) => without(chosen, number)),
];

// Exchanges that may be better by the lower bounds, the most promising first.
const promising = ({ objective, allowed, capacityBytes }: SearchContext, chosen: Chosen, cost: number): Chosen[] => {
  const exchanges: { readonly set: Chosen; readonly lower: number }[] = [];
  for (const added of allowed) {
    if (chosen.has(added) || !objective.isUsable(added)) continue;
    for (const removed of chosen) {
      const set = without(chosen, removed).add(added);
      if (objective.sizeOf(set) > capacityBytes) continue;
      const { lower } = objective.value(set);
      if (lower < cost * (1 - leastImprovement)) exchanges.push({ set, lower });
    }
  }
  return exchanges
    .toSorted((a, b) => a.lower - b.lower)
    .slice(0, promisingPerRound)
    .map(({ set }) => set);
};

const without = (chosen: Chosen, number: number): Set<number> => {
  const rest = new Set(chosen);
  rest.delete(number);
  return rest;
};
