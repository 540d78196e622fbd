import type { SearchContext } from "./algorithm.ts";
import { type Ban, type Examination, type Examined, examine, type GateLimits, weakestLink } from "./gate.ts";
import { relax } from "./greedy.ts";
import { improve } from "./local-search.ts";
import type { Chosen } from "./objective.ts";

/**
 * The set, or one near it, that passes the gate by the planner's own answers. What fails teaches the search what its members bring beside each other, and
 * the search goes on from there. Only what harms a statement, or leads round in a circle, is banned (added to `banned`): whether an index
 * brings enough depends on the company it keeps.
 */
export const passGate = async (
  found: Chosen,
  subject: Omit<Examined, "chosen">,
  limits: GateLimits,
  context: () => SearchContext,
  banned: Map<number, Ban>,
): Promise<Examination> => {
  let chosen = found;
  // A planner that does not minimise quite may not use what was added, so that it is taken away and found again.
  const seen = new Set<string>();
  for (;;) {
    seen.add(nameOf(chosen));
    const examination = await examine({ ...subject, chosen });
    const { used } = examination;
    const weakest = weakestLink(examination, limits, subject.candidates);
    const space = context();
    const { objective, allowed } = space;
    const without = [...used].map((one) => new Set([...used].filter((other) => other !== one)));
    await objective.learn([used, ...without], allowed, weakest === null ? undefined : 0);
    const better = improve(space, relax(space, objective.trial(used)).members);
    const isNew = better !== used && !seen.has(nameOf(better));
    if (weakest === null && !isNew) return examination;
    if (isNew && weakest?.code !== "harms_statement") {
      chosen = better;
    } else if (weakest !== null) {
      banned.set(weakest.number, weakest);
      chosen = new Set([...used].filter((number) => number !== weakest.number));
    }
  }
};

const nameOf = (set: Chosen): string => [...set].toSorted((a, b) => a - b).join();
