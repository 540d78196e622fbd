import type { SearchContext } from "./algorithm.ts";
import { type Ban, type Examination, type Examined, examine, type GateLimits, weakestLink } from "./gate.ts";
import { improve } from "./local-search.ts";
import type { Chosen } from "./objective.ts";

/**
 * Takes away what fails the gate, weakest first, and fills the room again, until the set passes. What is taken away is banned (added to `banned`), so
 * that it does not come back and the loop ends.
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
    const weakest = weakestLink(examination, limits, (number) => subject.candidates[number]?.id ?? "");
    if (weakest === null) {
      const space = context();
      await space.objective.learn([examination.used], space.allowed);
      const better = improve(space, examination.used);
      if (better === examination.used || seen.has(nameOf(better))) return examination;
      chosen = better;
    } else {
      banned.set(weakest.number, weakest);
      chosen = new Set([...examination.used].filter((number) => number !== weakest.number));
    }
  }
};

const nameOf = (set: Chosen): string => [...set].toSorted((a, b) => a - b).join();
