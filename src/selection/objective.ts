import type { HypotheticalIndex } from "../domain/index.ts";
import type { CostAnswer, CostQuery, CostSource } from "./cost-source.ts";

/** A set of candidates, by number. */
export type Chosen = ReadonlySet<number>;

export interface WeightedStatement {
  readonly statementId: string;
  readonly weight: number;
}

interface Bounds {
  readonly lower: number;
  readonly upper: number;
}

interface Subject extends WeightedStatement {
  /** Candidates that some plan of the statement has used, each with its bit in the masks of this statement. */
  readonly bits: Map<number, bigint>;
  /** By mask. */
  readonly bounds: Map<bigint, Bounds>;
}

export interface ObjectiveInput {
  readonly candidates: readonly HypotheticalIndex[];
  readonly costs: CostSource;
  readonly hidden: ReadonlySet<number>;
  readonly statements: readonly WeightedStatement[];
  /** What an index costs by being there, in units of weight × cost. */
  readonly upkeep: (index: HypotheticalIndex) => number;
}

/**
 * The workload's weighted cost as a function of the chosen set, as far as it is known. The upper bound never understates, so whatever a search finds to be
 * an improvement by it is one; the lower bound tells what cannot be ruled out; `learn` asks the planner.
 */
export class Objective {
  readonly candidates: readonly HypotheticalIndex[];
  readonly #costs: CostSource;
  readonly #hidden: ReadonlySet<number>;
  readonly #subjects: readonly Subject[];
  /** By candidate: positions of the statements that may use it. */
  readonly #affected: number[][];
  readonly #number: ReadonlyMap<string, number>;
  readonly #upkeep: readonly number[];

  constructor({ candidates, costs, hidden, statements, upkeep }: ObjectiveInput) {
    this.candidates = candidates;
    this.#costs = costs;
    this.#hidden = hidden;
    this.#subjects = statements.map((statement) => ({ ...statement, bits: new Map(), bounds: new Map() }));
    this.#affected = candidates.map(() => []);
    this.#number = new Map(candidates.map((candidate, number) => [candidate.id, number]));
    this.#upkeep = candidates.map(upkeep);
  }

  bytesOf(number: number): number {
    return this.candidates[number]?.estimatedBytes ?? 0;
  }

  sizeOf(chosen: Iterable<number>): number {
    let bytes = 0;
    for (const number of chosen) bytes += this.bytesOf(number);
    return bytes;
  }

  /** Statements of which some plan seen used the candidate. */
  statementsOf(number: number): string[] {
    return (this.#affected[number] ?? []).flatMap((position) => this.#subjects[position]?.statementId ?? []);
  }

  /** Whether any plan seen used the candidate. */
  isUsable(number: number): boolean {
    return (this.#affected[number]?.length ?? 0) > 0;
  }

  /**
   * Finds the candidates that each statement's plans would use: plans with all of them visible, takes away those used, and plans again, until none is
   * used or `rounds` is reached; then plans with each of them alone. A candidate never used so is not looked at again for this statement.
   */
  async survey(allowed: Chosen, rounds: number): Promise<void> {
    const isAllowed = (id: string): boolean => allowed.has(this.#number.get(id) ?? -1);
    let open = this.#subjects.map((subject, position) => {
      return { position, subject, visible: new Set(this.#costs.relevant(subject.statementId).filter(isAllowed)) };
    });
    for (let round = 0; round < rounds && open.length > 0; round += 1) {
      const queries = open.map(({ subject, visible }) => this.#queryFor(subject, visible));
      const answers = await this.#costs.costs(queries);
      if (round === 0) await this.#leaveOneOut(queries, answers);
      open = open.flatMap((one, index) => {
        const answer = answers[index];
        if (answer?.kind !== "costed" || answer.used.length === 0) return [];
        for (const id of answer.used) this.#markUsable(one.position, id);
        return [{ ...one, visible: new Set([...one.visible].filter((id) => !answer.used.includes(id))) }];
      });
    }
    await this.#costs.costs(
      this.#subjects.flatMap((subject) => [...subject.bits.values()].map((mask) => this.#query(subject, mask))),
    );
    for (const subject of this.#subjects) subject.bounds.clear();
  }

  // The best plan may need several indexes that do not fit together: what is next best without each one?
  async #leaveOneOut(queries: readonly CostQuery[], answers: readonly CostAnswer[]): Promise<void> {
    const poorer = queries.flatMap((query, position) => {
      const answer = answers[position];
      return (answer?.kind === "costed" ? answer.used : []).map((left) => {
        return { position, query: { ...query, visible: new Set([...query.visible].filter((id) => id !== left)) } };
      });
    });
    const found = await this.#costs.costs(poorer.map(({ query }) => query));
    for (const [index, { position }] of poorer.entries()) {
      const answer = found[index];
      if (answer?.kind === "costed") for (const id of answer.used) this.#markUsable(position, id);
    }
  }

  #markUsable(position: number, id: string): void {
    const number = this.#number.get(id);
    const subject = this.#subjects[position];
    if (number === undefined || subject === undefined || subject.bits.has(number)) return;
    subject.bits.set(number, 1n << BigInt(subject.bits.size));
    this.#affected[number]?.push(position);
  }

  #queryFor(subject: Subject, visible: ReadonlySet<string>): CostQuery {
    return { statementId: subject.statementId, visible, hidden: this.#hidden };
  }

  #query(subject: Subject, mask: bigint): CostQuery {
    const visible = new Set<string>();
    for (const [number, bit] of subject.bits) {
      const id = this.candidates[number]?.id;
      if ((mask & bit) !== 0n && id !== undefined) visible.add(id);
    }
    return this.#queryFor(subject, visible);
  }

  #bounds(subject: Subject, mask: bigint): Bounds {
    let bounds = subject.bounds.get(mask);
    if (bounds === undefined) {
      bounds = this.#costs.bounds(this.#query(subject, mask));
      subject.bounds.set(mask, bounds);
    }
    return bounds;
  }

  #masks(chosen: Iterable<number>): bigint[] {
    const masks = this.#subjects.map(() => 0n);
    for (const number of chosen) {
      for (const position of this.#affected[number] ?? []) {
        masks[position] = (masks[position] ?? 0n) | (this.#subjects[position]?.bits.get(number) ?? 0n);
      }
    }
    return masks;
  }

  /** Asks for the exact cost of every statement under each of these sets, all in one batch. */
  async learn(sets: readonly Chosen[]): Promise<void> {
    const wanted = new Map<Subject, Map<bigint, CostQuery>>();
    for (const set of sets) {
      for (const [position, mask] of this.#masks(set).entries()) {
        const subject = this.#subjects[position];
        if (subject === undefined) continue;
        const { lower, upper } = this.#bounds(subject, mask);
        if (lower >= upper) continue;
        const queries = wanted.get(subject) ?? new Map<bigint, CostQuery>();
        wanted.set(subject, queries.set(mask, this.#query(subject, mask)));
      }
    }
    const queries = [...wanted.values()].flatMap((one) => [...one.values()]);
    if (queries.length > 0) await this.#costs.costs(queries);
    for (const subject of wanted.keys()) subject.bounds.clear();
  }

  /** The lowest and the highest the weighted cost of this set can be, by what is known. */
  value(chosen: Chosen): Bounds {
    let lower = 0;
    for (const number of chosen) lower += this.#upkeep[number] ?? 0;
    let upper = lower;
    for (const [position, mask] of this.#masks(chosen).entries()) {
      const subject = this.#subjects[position];
      if (subject === undefined) continue;
      const bounds = this.#bounds(subject, mask);
      lower += subject.weight * bounds.lower;
      upper += subject.weight * bounds.upper;
    }
    return { lower, upper };
  }

  /** Whether two candidates may serve the same statement, so that the one can change what the other brings. */
  interact(first: number, second: number): boolean {
    const statements = this.#affected[second] ?? [];
    return (this.#affected[first] ?? []).some((position) => statements.includes(position));
  }

  /** A set to try changes on, without asking anybody. Its knowledge is that of now: make a new one after `learn`. */
  trial(chosen: Iterable<number>): Trial {
    return this.#trial(new Set(chosen), this.#masks(chosen), []);
  }

  // Effects are kept, as most changes leave most of them alone: a toggled candidate changes only those that share a statement with it.
  #trial(members: Set<number>, masks: bigint[], effects: (Effect | undefined)[]): Trial {
    const toggle = (number: number): void => {
      for (const position of this.#affected[number] ?? []) {
        const subject = this.#subjects[position];
        if (subject === undefined) continue;
        masks[position] = (masks[position] ?? 0n) ^ (subject.bits.get(number) ?? 0n);
        for (const other of subject.bits.keys()) effects[other] = undefined;
      }
    };
    return {
      members,
      add: (number) => {
        if (!members.has(number)) toggle(number);
        members.add(number);
      },
      remove: (number) => {
        if (members.delete(number)) toggle(number);
      },
      effect: (number) => (effects[number] ??= this.#effect(masks, number)),
      copy: () => this.#trial(new Set(members), [...masks], [...effects]),
    };
  }

  #effect(masks: readonly bigint[], number: number): Effect {
    let saving = -(this.#upkeep[number] ?? 0);
    let gain = 0;
    for (const position of this.#affected[number] ?? []) {
      const subject = this.#subjects[position];
      const mask = masks[position];
      const bit = subject?.bits.get(number);
      if (subject === undefined || mask === undefined || bit === undefined) continue;
      const without = this.#bounds(subject, mask & ~bit).upper;
      const withIt = this.#bounds(subject, mask | bit).upper;
      saving += subject.weight * (without - withIt);
      if (without > 0) gain = Math.max(gain, 1 - withIt / without);
    }
    return { saving, gain };
  }
}

/** What a candidate brings beside the other members of a set, by the known upper bounds. */
export interface Effect {
  /** Σ weight × cost saved, upkeep deducted. */
  readonly saving: number;
  /** The largest share by which it makes one statement cheaper. */
  readonly gain: number;
}

export interface Trial {
  readonly members: Chosen;
  add(number: number): void;
  remove(number: number): void;
  effect(number: number): Effect;
  copy(): Trial;
}
