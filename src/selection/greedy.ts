import type { SearchContext } from "./algorithm.ts";
import type { Chosen } from "./objective.ts";

/** How good an addition is. */
export type Preference = (benefit: number, bytes: number) => number;

export const byBenefit: Preference = (benefit) => benefit;
export const byBenefitPerByte: Preference = (benefit, bytes) => benefit / Math.max(bytes, 1);

type Space = Pick<SearchContext, "objective" | "allowed" | "capacityBytes">;

/** Adds the preferred candidate that fits and helps, until none does. */
export const fill = (
  { objective, allowed, capacityBytes }: Space,
  start: Chosen,
  preference: Preference,
): Set<number> => {
  const chosen = new Set(start);
  let free = capacityBytes - objective.sizeOf(chosen);
  for (;;) {
    let best: { readonly number: number; readonly score: number; readonly bytes: number } | null = null;
    for (const number of allowed) {
      if (chosen.has(number) || !objective.isUsable(number)) continue;
      const bytes = objective.sizeOf([number]);
      if (bytes > free) continue;
      const benefit = objective.benefit(chosen, number);
      if (benefit <= 0) continue;
      const score = preference(benefit, bytes);
      if (best === null || score > best.score) best = { number, score, bytes };
    }
    if (best === null) return chosen;
    chosen.add(best.number);
    free -= best.bytes;
  }
};

/** Takes the candidate away that is missed least per byte, until the rest fits (relaxation; Bruno and Chaudhuri, SIGMOD 2005). */
export const relax = ({ objective, capacityBytes }: Space, start: Chosen): Set<number> => {
  const chosen = new Set([...start].filter((number) => objective.isUsable(number)));
  let size = objective.sizeOf(chosen);
  while (chosen.size > 0) {
    let least: { readonly number: number; readonly loss: number; readonly score: number } | null = null;
    for (const number of chosen) {
      chosen.delete(number);
      const loss = objective.benefit(chosen, number);
      chosen.add(number);
      const score = loss / Math.max(objective.sizeOf([number]), 1);
      if (least === null || score < least.score) least = { number, loss, score };
    }
    if (least === null || (size <= capacityBytes && least.loss > 0)) return chosen;
    chosen.delete(least.number);
    size -= objective.sizeOf([least.number]);
  }
  return chosen;
};
