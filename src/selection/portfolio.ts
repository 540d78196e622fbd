import type { SearchContext } from "./algorithm.ts";
import { bySaving, bySavingPerByte, fill, relax } from "./greedy.ts";
import { improve, leastImprovement } from "./local-search.ts";
import type { Chosen } from "./objective.ts";

/** Exchanges the planner is asked about per round, beyond the neighbours; each costs a few EXPLAINs. */
const exchangesPerRound = 24;

/**
 * A portfolio of greedy searches, each improved by exchanges, over costs that are learned only where it matters.
 *
 * The search itself runs on upper bounds of the costs known so far, without calls; then the planner is asked about the best set, its neighbours
 * (one more, one less), and those exchanges that the lower bounds still allow to be better. What is learned can show a better set, and so on until it
 * does not. No single greedy order wins everywhere: per byte for small budgets, plain saving where large indexes pay, relaxation from
 * the unconstrained optimum where indexes need each other.
 */
export const portfolioWithSwaps = async (context: SearchContext): Promise<Chosen> => {
  const { objective } = context;
  let best: Chosen = new Set();
  await objective.learn([best]);
  for (;;) {
    const before = objective.value(best).upper;
    const starts: (() => Chosen)[] = [
      () => best,
      () => fill(context, objective.trial([]), bySavingPerByte),
      () => fill(context, objective.trial([]), bySaving),
      () => relax(context, context.allowed),
    ];
    const found: Chosen[] = [];
    for (const start of starts) if (!context.exhausted()) found.push(improve(context, start()));
    await objective.learn(found);
    best = cheapest(context, [best, ...found]);
    context.onImprovement(objective.value(best).upper);
    if (context.exhausted()) return best;
    await objective.learn(neighbours(context, best));
    await objective.learn(promising(context, best));
    const next = improve(context, best);
    const after = objective.value(next).upper;
    if (after >= before * (1 - leastImprovement)) return best;
    best = next;
  }
};

const cheapest = ({ objective }: SearchContext, sets: readonly Chosen[]): Chosen =>
  sets.reduce((best, set) =>
    objective.value(set).upper < objective.value(best).upper * (1 - leastImprovement) ? set : best,
  );

// One more (whether or not it fits: its cost tells about exchanges) and one less.
const neighbours = ({ allowed }: SearchContext, chosen: Chosen): Chosen[] => [
  ...[...allowed].filter((number) => !chosen.has(number)).map((number) => new Set(chosen).add(number)),
  ...[...chosen].map((number) => without(chosen, number)),
];

// Exchanges that may be better by the lower bounds, the most promising first.
const promising = ({ objective, allowed, capacityBytes }: SearchContext, chosen: Chosen): Chosen[] => {
  const threshold = objective.value(chosen).upper * (1 - leastImprovement);
  const size = objective.sizeOf(chosen);
  const exchanges: { readonly set: Chosen; readonly lower: number }[] = [];
  for (const added of allowed) {
    if (chosen.has(added)) continue;
    for (const removed of chosen) {
      if (size - objective.bytesOf(removed) + objective.bytesOf(added) > capacityBytes) continue;
      const set = without(chosen, removed).add(added);
      const { lower, upper } = objective.value(set);
      if (lower < threshold && lower < upper) exchanges.push({ set, lower });
    }
  }
  return exchanges
    .toSorted((a, b) => a.lower - b.lower)
    .slice(0, exchangesPerRound)
    .map(({ set }) => set);
};

const without = (chosen: Chosen, number: number): Set<number> => {
  const rest = new Set(chosen);
  rest.delete(number);
  return rest;
};
