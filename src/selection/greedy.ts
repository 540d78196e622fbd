import type { SearchContext } from "./algorithm.ts";
import type { Effect, Trial } from "./objective.ts";

/** How good an addition is. */
export type Preference = (saving: number, bytes: number) => number;

export const bySaving: Preference = (saving) => saving;
export const bySavingPerByte: Preference = (saving, bytes) => saving / Math.max(bytes, 1);

type Space = Pick<SearchContext, "objective" | "allowed" | "room" | "demand">;

/** Whether a candidate passes the gate with this effect, by what is known. */
const passes = ({ objective, demand }: Space, number: number, { saving, gain }: Effect): boolean =>
  saving > 0 && gain >= demand.gain && saving + objective.upkeepOf(number) >= demand.saving;

/** Adds to the trial the preferred candidate that fits, saves and passes the gate, until none does; `except` are not added. */
export const fill = (space: Space, trial: Trial, preference: Preference, except: readonly number[] = []): Trial => {
  const { objective, allowed, room } = space;
  for (;;) {
    let best: { readonly number: number; readonly score: number } | null = null;
    const fits = room.beside(trial.members);
    for (const number of allowed) {
      if (trial.members.has(number) || except.includes(number)) continue;
      const effect = trial.effect(number);
      if (!passes(space, number, effect)) continue;
      const score = preference(effect.saving, objective.bytesOf(number));
      if ((best === null || score > best.score) && fits(number)) best = { number, score };
    }
    if (best === null) return trial;
    trial.add(best.number);
  }
};

/**
 * Takes away what is missed least per byte until the rest fits (relaxation; Bruno and Chaudhuri, SIGMOD 2005), and then what does not pass the gate
 * beside the others.
 */
export const relax = (space: Space, trial: Trial): Trial => {
  const { objective, room } = space;
  for (;;) {
    const excess = room.excess(trial.members);
    let least: { readonly number: number; readonly score: number } | null = null;
    for (const number of trial.members) {
      const effect = trial.effect(number);
      if (excess.size > 0 ? !excess.has(number) : passes(space, number, effect)) continue;
      const score = effect.saving / Math.max(objective.bytesOf(number), 1);
      if (least === null || score < least.score) least = { number, score };
    }
    if (least === null) return trial;
    trial.remove(least.number);
  }
};
