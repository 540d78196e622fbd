import type { Clock } from "../runtime/index.ts";
import type { SearchContext } from "./algorithm.ts";
import { cheapestByKnownPlans, lowerBound, nodesToSearch } from "./bound.ts";
import { relax } from "./greedy.ts";
import { improve, leastImprovement } from "./local-search.ts";
import type { Chosen } from "./objective.ts";

export interface Proof {
  readonly best: Chosen;
  /** No allowed set costs less, as far as the planner minimises. */
  readonly lowerBound: number;
  /** Time spent in the solver. */
  readonly solverMs: number;
}

export interface ProofLimits {
  /** Share of the cost; nearer to the bound than this is near enough. */
  readonly gap: number;
  readonly rounds: number;
  /** Of the rounds, those in which the whole program is solved and not the relaxed one. */
  readonly slowRounds: number;
  /** What-if calls in all, those of the search before included; a round that has begun is ended. */
  readonly calls: number;
}

/**
 * Closes the distance between the best set and what no set can beat, from both sides: the planner is asked about the set that would be best if everything
 * not yet known were as good as it may be. That either shows a better set or raises the bound.
 */
export const prove = async (
  context: SearchContext,
  start: Chosen,
  everything: Chosen,
  limits: ProofLimits,
  clock: Clock,
): Promise<Proof> => {
  const { objective } = context;
  let best = start;
  let bound = 0;
  let solverMs = 0;
  const timed = async <T>(solve: Promise<T>): Promise<T> => {
    const startedMs = clock.monotonicMs();
    const solved = await solve;
    solverMs += clock.monotonicMs() - startedMs;
    return solved;
  };
  // The relaxed program is solved a hundred times as fast; the whole one has the last words, when that has no more to say.
  let nodes = 0;
  let last = Number.POSITIVE_INFINITY;
  let idle = 0;
  let slow = 0;
  for (let round = 0; ; round += 1) {
    const found = await timed(lowerBound({ ...context, allowed: everything }, null, nodes));
    const before = bound;
    bound = Math.max(bound, found.cost);
    const upper = objective.value(best).upper;
    const isNear = bound >= upper * (1 - limits.gap);
    if (isNear || round >= limits.rounds || objective.calls >= limits.calls || context.exhausted()) break;
    // The gate, which the program does not know, can leave a distance that no question closes.
    const distance = upper - bound;
    idle = nodes > 0 && distance > last * (1 - leastProgress) ? idle + 1 : 0;
    last = distance;
    if (nodes > 0) slow += 1;
    if (idle === mostIdle || slow > limits.slowRounds) break;
    if (nodes === 0 && bound - before < (upper - before) * leastProgress) nodes = nodesToSearch;
    const exact = await timed(cheapestByKnownPlans(context, nodes));
    const around = await timed(
      lowerBound({ ...context, allowed: everything }, { set: best, distance: neighbourhood }, nodes),
    );
    await objective.learn([found.optimist, around.optimist], everything, descentSteps, false);
    const sets = [exact, relax(context, objective.trial(exact)).members, improve(context, best)];
    await objective.learn(sets, everything);
    best = [best, ...sets].reduce((a, b) =>
      objective.value(b).upper < objective.value(a).upper * (1 - leastImprovement) ? b : a,
    );
    context.onImprovement(objective.value(best).upper);
  }
  const isFar = bound < objective.value(best).upper * (1 - limits.gap);
  if (nodes === 0 && isFar && limits.rounds > 0 && !context.exhausted()) {
    bound = Math.max(bound, (await timed(lowerBound({ ...context, allowed: everything }))).cost);
  }
  return { best, lowerBound: Math.min(bound, objective.value(best).upper), solverMs };
};

/** A round must close this share of the distance, or the program is solved more exactly; and when it is, rounds that close less are idle. */
const leastProgress = 0.1;

/** So many rounds in a row may bring less. */
const mostIdle = 3;

/** More than for a set that may be chosen: what a descent tells on its way raises the bound. */
const descentSteps = 12;

/** Most exchanges of a good set for a better one are of this size; the program for the whole may be led astray by what is far away. */
const neighbourhood = 6;
