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
  for (;;) {
    const examination = await examine({ ...subject, chosen });
    const weakest = weakestLink(examination, limits, (number) => subject.candidates[number]?.id ?? "");
    if (weakest === null) {
      const space = context();
      await space.objective.learn([examination.used], space.allowed);
      const better = improve(space, examination.used);
      if (better === examination.used) return examination;
      chosen = better;
    } else {
      banned.set(weakest.number, weakest);
      chosen = new Set([...examination.used].filter((number) => number !== weakest.number));
    }
  }
};
