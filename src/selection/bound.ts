import type { Room } from "./limits.ts";
import type { Chosen, Objective, Subject } from "./objective.ts";
import { Program } from "./program.ts";

export interface ProgramInput {
  readonly objective: Objective;
  readonly allowed: Chosen;
  readonly room: Room;
  readonly remainingMs: () => number;
}

/** The solver may take this long even where the time is up: a bound takes a moment, and an answer without one says less. */
const leastMs = 2_000;

/** What no allowed set can beat, by what is known; and the set that would come closest to it. */
export interface LowerBound {
  readonly cost: number;
  readonly optimist: Chosen;
}

/** Sets that differ from this one by at most so many candidates (local branching; Fischetti and Lodi, 2003). */
export interface Neighbourhood {
  readonly set: Chosen;
  readonly distance: number;
}

/** A choice of less than this part is none. */
const leastPart = 0.05;

/** Nodes of branch and bound: enough to be led to something new, and enough for the last word. */
export const nodesToSearch = 2_000;

/** Costs of one statement that differ by no more than its even part of this share of the whole are taken as the lower one. */
const sameShare = 1e-3;

/** A set of more candidates than this says next to nothing by not being chosen at all. */
const mostRemoved = 150;

/**
 * A lower bound on the workload's cost over all sets within the limits, by an integer program.
 *
 * For each statement the planner's answers say "without all of R it costs at least c". With `t_c = 1` meaning "it costs at least c": `t_c + Σ_{i∈R} x_i ≥ 1`,
 * `t_c ≥ t_c'` for c < c', and the cost is `c_1 + Σ_k (c_k − c_{k−1}) t_k`: the radius formulation of the p-median problem (Cornuéjols, Nemhauser and
 * Wolsey, 1980), whose linear relaxation is strong. It holds for every plan there is, seen or not, as far as the planner minimises: a
 * combination that was never asked about costs as little as the answers leave possible.
 */
export const lowerBound = async (
  { objective, allowed, room, remainingMs }: ProgramInput,
  near: Neighbourhood | null = null,
  nodes = nodesToSearch,
): Promise<LowerBound> => {
  const { program, scale, choice, choose } = chooser(objective, Math.max(remainingMs(), leastMs));
  let constant = 0;
  for (const subject of objective.subjects) {
    const tolerance = (sameShare * scale) / objective.subjects.length / Math.max(subject.weight, Number.MIN_VALUE);
    const [always, ...levels] = levelsOf(subject, allowed, tolerance);
    let cheaper = always?.cost ?? 0;
    let last: number | null = null;
    constant += subject.weight * cheaper;
    for (const { cost, without } of levels) {
      const isDearer = program.addShare((subject.weight * (cost - cheaper)) / scale);
      for (const removed of without) {
        program.atLeast(1, [[isDearer, 1], ...removed.map((number): [number, number] => [choice(number), 1])]);
      }
      if (last !== null) {
        program.atLeast(0, [
          [last, 1],
          [isDearer, -1],
        ]);
      }
      last = isDearer;
      cheaper = cost;
    }
  }
  const { bound, chosen } = await choose(room, near, nodes);
  return { cost: constant + scale * bound, optimist: chosen };
};

/**
 * The cheapest set by the plans seen so far: one plan per statement (`Σ_p z_p = 1`), to be had where its candidates are (`Σ_{p uses i} z_p ≤ x_i`).
 */
export const cheapestByKnownPlans = async (
  { objective, allowed, room, remainingMs }: ProgramInput,
  nodes = nodesToSearch,
): Promise<Chosen> => {
  const { program, scale, choice, choose } = chooser(objective, Math.max(remainingMs(), leastMs));
  for (const { known, weight } of objective.subjects) {
    const plans = known.plans.filter(({ used }) => used.every((number) => allowed.has(number)));
    if (plans.length === 0) continue;
    const taken: [number, number][] = [];
    const users = new Map<number, [number, number][]>();
    for (const { used, cost } of plans) {
      const isTaken = program.addShare((weight * cost) / scale);
      taken.push([isTaken, 1]);
      for (const number of used) users.set(number, [...(users.get(number) ?? []), [isTaken, -1]]);
    }
    program.atLeast(1, taken);
    for (const [number, some] of users) program.atLeast(0, [[choice(number), 1], ...some]);
  }
  return (await choose(room, null, nodes)).chosen;
};

/** A program with a choice per candidate that is mentioned. Costs are shares of the cost without any index, for the solver's tolerances. */
const chooser = (objective: Objective, limitMs: number) => {
  const program = new Program();
  const scale = Math.max(objective.value(new Set()).upper, Number.MIN_VALUE);
  const choices = new Map<number, number>();
  return {
    program,
    scale,
    choice: (number: number): number => {
      const known = choices.get(number);
      if (known !== undefined) return known;
      const made = program.addChoice(objective.upkeepOf(number) / scale);
      choices.set(number, made);
      return made;
    },
    choose: async (
      room: Room,
      near: Neighbourhood | null,
      nodes: number,
    ): Promise<{ readonly bound: number; readonly chosen: Chosen }> => {
      for (const { use, most } of room.limits) {
        const entries = [...choices].flatMap(([number, column]): [number, number][] => {
          const share = (use.get(number) ?? 0) / Math.max(most, 1);
          return share > 0 ? [[column, share]] : [];
        });
        if (entries.length > 0) program.atMost(1, entries);
      }
      if (near !== null) {
        const signs = [...choices].map(([number, column]): [number, number] => [column, near.set.has(number) ? -1 : 1]);
        program.atMost(near.distance - signs.filter(([, sign]) => sign < 0).length, signs);
      }
      const { bound, values } = await program.minimise(limitMs, nodes);
      // Those that are chosen most first; a choice in part, or the solver's tolerance, may overdraw a limit.
      const wanted = [...choices]
        .map(([number, column]): [number, number] => [number, Math.round((values[column] ?? 0) * 1e6)])
        .filter(([, part]) => part > leastPart * 1e6)
        .toSorted(([a, most], [b, least]) => least - most || a - b);
      const chosen = new Set<number>();
      for (const [number] of wanted) if (room.fits(chosen, number)) chosen.add(number);
      return { bound, chosen: new Set([...chosen].toSorted((a, b) => a - b)) };
    },
  };
};

interface Level {
  readonly cost: number;
  /** Sets of candidates; without all of one of them, the statement costs at least so much. */
  readonly without: (readonly number[])[];
}

/** The costs that a statement can have at least, cheapest first; the first one it has always. */
const levelsOf = ({ known }: Subject, allowed: Chosen, tolerance: number): Level[] => {
  const facts: { readonly cost: number; readonly removed: readonly number[] }[] = [];
  let always = 0;
  for (const { cost, removed } of known.leasts) {
    const needed = removed.filter((number) => allowed.has(number));
    if (needed.length === 0) always = Math.max(always, cost);
    else if (
      needed.length <= mostRemoved &&
      !facts.some((other) => other.removed.every((number) => needed.includes(number)))
    ) {
      facts.push({ cost, removed: needed });
    }
  }
  const levels: Level[] = [{ cost: always, without: [] }];
  for (const { cost, removed } of facts.toReversed()) {
    if (cost <= always + tolerance) continue;
    const last = levels.at(-1);
    if (last !== undefined && last.without.length > 0 && cost <= last.cost + tolerance) last.without.push(removed);
    else levels.push({ cost, without: [removed] });
  }
  return levels;
};
