import type { Bounds } from "./objective.ts";

/** Whether a candidate is in the set in question. */
export type Members = (number: number) => boolean;

/** The planner takes a plan of this cost that uses these candidates, wherever they are. */
export interface KnownPlan {
  readonly used: readonly number[];
  readonly cost: number;
}

/** Without the removed candidates, nothing costs less; the plan that costs so much uses `used`. */
interface KnownLeast extends KnownPlan {
  readonly removed: readonly number[];
}

/**
 * What is known of one statement's cost under any set of candidates, from the questions asked so far, because the planner takes the cheapest plan it finds:
 * - *atomic configurations*: a plan is to be had wherever the candidates it uses are (upper bound; Finkelstein et al., TODS 1988);
 * - taking candidates away never makes a statement cheaper (lower bound; Wii, SIGMOD 2024).
 * PostgreSQL treats costs within 1 % as equal, so both hold to that precision only.
 */
export class Knowledge {
  /** By cost; none that another one beats with a part of its candidates. */
  #plans: KnownPlan[] = [];
  /** By cost, dearest first. */
  #least: KnownLeast[] = [];
  /** Plans by the candidates that they use, by cost; made when asked for. */
  #using: Map<number, KnownPlan[]> | null = null;
  readonly #asked = new Set<string>();
  readonly usable = new Set<number>();
  #unaided = Number.POSITIVE_INFINITY;

  /** Whether it is known what the statement costs with everything but these. */
  has(removed: readonly number[]): boolean {
    return this.#asked.has(removed.join());
  }

  add(removed: readonly number[], used: readonly number[], cost: number): void {
    this.#asked.add(removed.join());
    for (const number of used) this.usable.add(number);
    if (used.length === 0) this.#unaided = Math.min(this.#unaided, cost);
    const isWithin = (inner: readonly number[], outer: readonly number[]): boolean =>
      inner.every((number) => outer.includes(number));
    if (!this.#plans.some((plan) => plan.cost <= cost && isWithin(plan.used, used))) {
      this.#plans = this.#plans.filter((plan) => plan.cost < cost || !isWithin(used, plan.used));
      insert(this.#plans, { used, cost }, (other) => other.cost > cost);
      this.#using = null;
    }
    // Of equal ones the later comes first: a descent goes on from where it was.
    insert(this.#least, { removed, used, cost }, (other) => other.cost <= cost);
  }

  /** What it costs with none of the candidates. */
  get unaided(): number {
    return this.#unaided;
  }

  upper(members: Members): number {
    return this.cheapest(members)?.cost ?? Number.POSITIVE_INFINITY;
  }

  /** The cheapest plan known that needs no other candidates; null where none is. */
  cheapest(members: Members): KnownPlan | null {
    return this.#plans.find(({ used }) => used.every(members)) ?? null;
  }

  /** The cheapest plan known that needs this candidate and some of the members, where it is cheaper than so much. */
  cheaperWith(number: number, members: Members, than: number): KnownPlan | null {
    for (const plan of this.#plansUsing(number)) {
      if (plan.cost >= than) return null;
      if (plan.used.every((one) => one === number || members(one))) return plan;
    }
    return null;
  }

  #plansUsing(number: number): readonly KnownPlan[] {
    if (this.#using === null) {
      this.#using = new Map();
      for (const plan of this.#plans) {
        for (const one of plan.used) {
          const some = this.#using.get(one);
          if (some === undefined) this.#using.set(one, [plan]);
          else some.push(plan);
        }
      }
    }
    return this.#using.get(number) ?? [];
  }

  /** The strongest statement on what it costs at least. */
  least(members: Members): KnownLeast {
    return this.#least.find(({ removed }) => !removed.some(members)) ?? { removed: [], used: [], cost: 0 };
  }

  bounds(members: Members): Bounds {
    const upper = this.upper(members);
    return { lower: Math.min(this.least(members).cost, upper), upper };
  }

  get plans(): readonly KnownPlan[] {
    return this.#plans;
  }

  get leasts(): readonly KnownLeast[] {
    return this.#least;
  }
}

const insert = <T>(list: T[], item: T, isAfter: (other: T) => boolean): void => {
  const position = list.findIndex(isAfter);
  list.splice(position === -1 ? list.length : position, 0, item);
};
