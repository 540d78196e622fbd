import type { SearchContext } from "./algorithm.ts";
import { bySaving, bySavingPerByte, fill, relax } from "./greedy.ts";
import { improve, leastImprovement } from "./local-search.ts";
import type { Chosen } from "./objective.ts";

/**
 * A portfolio of greedy searches, each improved by exchanges, over costs that are learned only where it matters.
 *
 * The search itself runs on upper bounds of the costs known so far, without calls; then the planner is asked about the sets it found, which shows the better
 * plans there are beside them, and so on until no set is better. No single greedy order wins everywhere: per byte for small budgets, plain saving where large
 * indexes pay, relaxation from the unconstrained optimum where indexes need each other.
 */
export const portfolioWithSwaps = async (context: SearchContext): Promise<Chosen> => {
  const { objective, allowed } = context;
  let best: Chosen = new Set();
  await objective.learn([best], allowed);
  for (;;) {
    const before = objective.value(best).upper;
    const starts: (() => Chosen)[] = [
      () => best,
      () => fill(context, objective.trial([]), bySavingPerByte).members,
      () => fill(context, objective.trial([]), bySaving).members,
      () => relax(context, objective.trial(allowed)).members,
    ];
    const found: Chosen[] = [];
    for (const start of starts) if (!context.exhausted()) found.push(improve(context, start()));
    await objective.learn(found, allowed);
    best = [best, ...found].reduce((a, b) =>
      objective.value(b).upper < objective.value(a).upper * (1 - leastImprovement) ? b : a,
    );
    const after = objective.value(best).upper;
    context.onImprovement(after);
    if (context.exhausted() || after >= before * (1 - leastImprovement)) return best;
  }
};
