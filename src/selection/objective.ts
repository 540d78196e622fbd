import { type HypotheticalIndex, tableId } from "../domain/index.ts";
import type { CostAnswer, CostSource } from "./cost-source.ts";
import { Knowledge, type KnownPlan, type Members } from "./knowledge.ts";

/** A set of candidates, by number. */
export type Chosen = ReadonlySet<number>;

export interface WeightedStatement {
  readonly statementId: string;
  readonly weight: number;
}

export interface Bounds {
  readonly lower: number;
  readonly upper: number;
}

/** A statement in the search: what is known of its costs, and which candidates could change its plan. */
export interface Subject extends WeightedStatement {
  /** Among the subjects. */
  readonly position: number;
  readonly known: Knowledge;
  /** Candidates that may change its plan, by number. */
  readonly relevant: readonly number[];
}

export interface ObjectiveInput {
  readonly candidates: readonly HypotheticalIndex[];
  readonly costs: CostSource;
  readonly hidden: ReadonlySet<number>;
  readonly statements: readonly WeightedStatement[];
  /** What an index costs by being there, in units of weight × cost. */
  readonly upkeep: (index: HypotheticalIndex) => number;
  /** A statement that is not at least by this share cheaper than now says nothing for an index. */
  readonly minimumGain: number;
}

/** One statement under one set of candidates. */
interface Question {
  readonly subject: Subject;
  readonly visible: readonly number[];
}

/** In a descent, indexes of the same table that are at least this share of the removed one's size go with it: who cannot afford the one lacks the others. */
const alikeFrom = 0.8;

/** Steps of a descent after which the set itself is asked about. */
const descentSteps = 3;

/**
 * The workload's weighted cost as a function of the chosen set, as far as it is known. The upper bound never understates, so whatever a search finds to be
 * an improvement by it is one; the lower bound tells what cannot be ruled out; `learn` asks the planner.
 */
export class Objective {
  readonly candidates: readonly HypotheticalIndex[];
  readonly subjects: readonly Subject[];
  readonly #costs: CostSource;
  readonly #hidden: ReadonlySet<number>;
  /** By candidate: the statements of which some plan seen uses it. */
  readonly #affected: Subject[][];
  readonly #number: ReadonlyMap<string, number>;
  readonly #upkeep: readonly number[];
  readonly #table: readonly string[];
  readonly #minimumGain: number;

  constructor({ candidates, costs, hidden, statements, upkeep, minimumGain }: ObjectiveInput) {
    this.candidates = candidates;
    this.#costs = costs;
    this.#hidden = hidden;
    this.#number = new Map(candidates.map((candidate, number) => [candidate.id, number]));
    this.subjects = statements.map((statement, position) => ({
      ...statement,
      position,
      known: new Knowledge(),
      relevant: costs.relevant(statement.statementId).flatMap((id) => this.#number.get(id) ?? []),
    }));
    this.#affected = candidates.map(() => []);
    this.#upkeep = candidates.map(upkeep);
    this.#minimumGain = minimumGain;
    this.#table = candidates.map(({ definition }) => tableId(definition.table));
  }

  /** Questions that reached a planner so far. */
  get calls(): number {
    return this.#costs.whatIfCalls;
  }

  bytesOf(number: number): number {
    return this.candidates[number]?.estimatedBytes ?? 0;
  }

  sizeOf(chosen: Iterable<number>): number {
    let bytes = 0;
    for (const number of chosen) bytes += this.bytesOf(number);
    return bytes;
  }

  upkeepOf(number: number): number {
    return this.#upkeep[number] ?? 0;
  }

  /** Statements of which some plan seen used the candidate. */
  statementsOf(number: number): string[] {
    return (this.#affected[number] ?? []).map((subject) => subject.statementId);
  }

  /** Whether any plan seen used the candidate. */
  isUsable(number: number): boolean {
    return (this.#affected[number]?.length ?? 0) > 0;
  }

  /** Asks the planner, all in one batch, and keeps what it says. */
  async ask(questions: readonly Question[]): Promise<readonly CostAnswer[]> {
    const answers = await this.#costs.costs(
      questions.map(({ subject, visible }) => ({
        statementId: subject.statementId,
        visible: new Set(visible.flatMap((number) => this.candidates[number]?.id ?? [])),
        hidden: this.#hidden,
      })),
    );
    for (const [position, { subject, visible }] of questions.entries()) {
      const answer = answers[position];
      if (answer?.kind !== "costed") continue;
      const used = answer.used.flatMap((id) => this.#number.get(id) ?? []).toSorted((a, b) => a - b);
      const seen = new Set(visible);
      subject.known.add(
        subject.relevant.filter((number) => !seen.has(number)),
        used,
        answer.cost,
      );
      for (const number of used) {
        const affected = this.#affected[number];
        if (affected !== undefined && !affected.includes(subject)) affected.push(subject);
      }
    }
    return answers;
  }

  /**
   * Learns the exact cost of every statement under each of these sets, from above: with everything visible that is in `among` the planner takes its best
   * plan; what that uses beyond the set is taken away, and so on until the plan needs the set only. On the way it tells every better plan there is, and
   * what the statement costs at least without them. After a few steps it is asked about the set itself.
   */
  async learn(sets: readonly Chosen[], among: Chosen, steps = descentSteps, toTheEnd = true): Promise<void> {
    for (let step = 0; ; step += 1) {
      const questions = new Map<string, Question>();
      for (const set of sets) {
        for (const subject of this.subjects) {
          const question = this.#next(subject, set, among, step, steps);
          if (question === null) continue;
          questions.set(`${subject.statementId} ${question.visible.join(",")}`, question);
        }
      }
      if (questions.size === 0 || step > steps || (!toTheEnd && step === steps)) return;
      await this.ask([...questions.values()]);
    }
  }

  #next(subject: Subject, set: Chosen, among: Chosen, step: number, steps: number): Question | null {
    const members = (number: number): boolean => set.has(number);
    const { lower, upper } = subject.known.bounds(members);
    if (lower >= upper) return null;
    const own = subject.relevant.filter(members);
    if (step >= steps) return { subject, visible: own };
    const { removed, used } = subject.known.least(members);
    const beyond = used.filter((number) => !set.has(number));
    const largest = beyond.reduce((a, b) => (this.bytesOf(b) > this.bytesOf(a) ? b : a), beyond[0] ?? -1);
    const isLike = (number: number): boolean =>
      !set.has(number) &&
      this.#table[number] === this.#table[largest] &&
      this.bytesOf(number) >= this.bytesOf(largest) * alikeFrom;
    // A planner that does not minimise quite can lead round in circles: what is known already is not asked again.
    for (const also of step === 0 ? [[], subject.relevant.filter(isLike)] : [subject.relevant.filter(isLike)]) {
      const gone = new Set([...removed, largest, ...also]);
      const left = (number: number): boolean => set.has(number) || (among.has(number) && !gone.has(number));
      if (!subject.known.has(subject.relevant.filter((number) => !left(number)))) {
        return { subject, visible: subject.relevant.filter(left) };
      }
    }
    return { subject, visible: own };
  }

  /** The lowest and the highest the weighted cost of this set can be, by what is known. */
  value(chosen: Chosen): Bounds {
    let lower = 0;
    for (const number of chosen) lower += this.upkeepOf(number);
    let upper = lower;
    const members: Members = (number) => chosen.has(number);
    for (const { known, weight } of this.subjects) {
      const bounds = known.bounds(members);
      lower += weight * bounds.lower;
      upper += weight * bounds.upper;
    }
    return { lower, upper };
  }

  /** The candidates that may serve a statement which this one serves, so that it can change what they bring. */
  neighbours(number: number): ReadonlySet<number> {
    return new Set((this.#affected[number] ?? []).flatMap(({ known }) => [...known.usable]));
  }

  /** Whether two candidates may serve the same statement, so that the one can change what the other brings. */
  interact(first: number, second: number): boolean {
    const statements = this.#affected[second] ?? [];
    return (this.#affected[first] ?? []).some((subject) => statements.includes(subject));
  }

  /** A set to try changes on, without asking anybody. Its knowledge is that of now: make a new one after `learn`. */
  trial(chosen: Iterable<number>): Trial {
    const members = new Set(chosen);
    return this.#trial(
      members,
      this.subjects.map(({ known }) => known.cheapest((number) => members.has(number))),
      [],
    );
  }

  // Effects are kept, as most changes leave most of them alone: a toggled candidate changes only those that share a statement with it.
  #trial(members: Set<number>, plans: (KnownPlan | null)[], effects: (Effect | undefined)[]): Trial {
    // Asked millions of times: an array answers several times as fast as a set.
    const flags = new Uint8Array(this.candidates.length);
    for (const number of members) flags[number] = 1;
    const isMember: Members = (number) => flags[number] === 1;
    const toggled = (number: number, isIn: boolean): void => {
      flags[number] = isIn ? 1 : 0;
      for (const { known, position } of this.#affected[number] ?? []) {
        const plan = plans[position] ?? null;
        if (isIn) plans[position] = known.cheaperWith(number, isMember, costOf(plan)) ?? plan;
        else if (plan?.used.includes(number) === true) plans[position] = known.cheapest(isMember);
        for (const other of known.usable) effects[other] = undefined;
      }
    };
    return {
      members,
      cost: () => {
        let cost = 0;
        for (const number of members) cost += this.upkeepOf(number);
        for (const { weight, position } of this.subjects) cost += weight * costOf(plans[position] ?? null);
        return cost;
      },
      add: (number) => {
        if (members.has(number)) return;
        members.add(number);
        toggled(number, true);
      },
      remove: (number) => {
        if (members.delete(number)) toggled(number, false);
      },
      effect: (number) => (effects[number] ??= this.#effect(isMember, plans, number)),
      copy: () => this.#trial(new Set(members), [...plans], [...effects]),
    };
  }

  #effect(isMember: Members, plans: readonly (KnownPlan | null)[], number: number): Effect {
    let saving = -this.upkeepOf(number);
    let [gain, gainInAll] = [0, 0];
    const isIn = isMember(number);
    for (const { known, weight, position } of this.#affected[number] ?? []) {
      const plan = plans[position] ?? null;
      const now = costOf(plan);
      let [without, withIt] = [now, now];
      if (!isIn) withIt = costOf(known.cheaperWith(number, isMember, now) ?? plan);
      else if (plan?.used.includes(number) === true) {
        without = costOf(known.cheapest((one) => one !== number && isMember(one)));
      }
      if (withIt === without) continue;
      saving += weight * (without - withIt);
      const inAll = 1 - withIt / known.unaided;
      gainInAll = Math.max(gainInAll, inAll);
      if (inAll >= this.#minimumGain) gain = Math.max(gain, 1 - withIt / without);
    }
    return { saving, gain, gainInAll };
  }
}

const costOf = (plan: KnownPlan | null): number => plan?.cost ?? Number.POSITIVE_INFINITY;

/** What a candidate brings beside the other members of a set, by the known upper bounds. */
export interface Effect {
  /** Σ weight × cost saved, upkeep deducted. */
  readonly saving: number;
  /** The largest share by which all of them make a statement cheaper than now that this one makes cheaper. */
  readonly gainInAll: number;
  /** The largest share by which it makes one statement cheaper, of those that are enough cheaper than now. */
  readonly gain: number;
}

export interface Trial {
  readonly members: Chosen;
  /** The weighted cost, upkeep included, by the known upper bounds. */
  cost(): number;
  add(number: number): void;
  remove(number: number): void;
  effect(number: number): Effect;
  copy(): Trial;
}
