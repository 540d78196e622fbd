import type { HypotheticalIndex } from "../domain/index.ts";
import type { CostAnswer, CostQuery, CostSource } from "./cost-source.ts";

/** A set of candidates, by number. */
export type Chosen = ReadonlySet<number>;

export interface WeightedStatement {
  readonly statementId: string;
  readonly weight: number;
}

interface Subject extends WeightedStatement {
  /** Candidates that some plan of the statement has used; ascending. */
  usable: number[];
  readonly bounds: Map<string, { readonly lower: number; readonly upper: number }>;
}

/**
 * The workload's weighted cost as a function of the chosen set, as far as it is known. `upper` never understates, so whatever the search finds to be an
 * improvement by `upper` is one; `lower` tells what cannot be ruled out; `learn` asks the planner.
 */
export class Objective {
  readonly candidates: readonly HypotheticalIndex[];
  readonly #costs: CostSource;
  readonly #hidden: ReadonlySet<number>;
  readonly #subjects: readonly Subject[];
  readonly #affected: number[][];
  readonly #number: ReadonlyMap<string, number>;
  readonly #upkeep: readonly number[];

  constructor(input: {
    readonly candidates: readonly HypotheticalIndex[];
    readonly costs: CostSource;
    readonly hidden: ReadonlySet<number>;
    readonly statements: readonly WeightedStatement[];
    /** What an index costs by being there, in units of weight × cost. */
    readonly upkeep: (index: HypotheticalIndex) => number;
  }) {
    this.candidates = input.candidates;
    this.#costs = input.costs;
    this.#hidden = input.hidden;
    this.#subjects = input.statements.map((statement) => ({ ...statement, usable: [], bounds: new Map() }));
    this.#affected = input.candidates.map(() => []);
    this.#number = new Map(input.candidates.map((candidate, number) => [candidate.id, number]));
    this.#upkeep = input.candidates.map(input.upkeep);
  }

  sizeOf(chosen: Iterable<number>): number {
    let bytes = 0;
    for (const number of chosen) bytes += this.candidates[number]?.estimatedBytes ?? 0;
    return bytes;
  }

  /** Whether any plan seen used the candidate. */
  isUsable(number: number): boolean {
    return (this.#affected[number]?.length ?? 0) > 0;
  }

  /** Statements of which some plan seen used the candidate. */
  statementsOf(number: number): string[] {
    return (this.#affected[number] ?? []).flatMap((position) => this.#subjects[position]?.statementId ?? []);
  }

  /**
   * Finds the candidates that each statement's plans would use: plans with all candidates visible, takes away those used, and plans again, until none is
   * used. The candidates never used so are not looked at again for this statement. At most `rounds` EXPLAINs per text.
   */
  async survey(allowed: Chosen, rounds: number): Promise<void> {
    let open = this.#subjects.map((subject, position) => ({
      position,
      subject,
      visible: new Set(
        this.#costs.relevant(subject.statementId).filter((id) => allowed.has(this.#number.get(id) ?? -1)),
      ),
    }));
    for (let round = 0; round < rounds && open.length > 0; round += 1) {
      const answers = await this.#costs.costs(
        open.map(({ subject, visible }) => ({ statementId: subject.statementId, visible, hidden: this.#hidden })),
      );
      open = open.flatMap((one, index) => {
        const answer = answers[index];
        if (answer?.kind !== "costed" || answer.used.length === 0) return [];
        for (const id of answer.used) this.#markUsable(one.position, id);
        return [{ ...one, visible: new Set([...one.visible].filter((id) => !answer.used.includes(id))) }];
      });
    }
    const alone = this.#subjects.flatMap((subject) =>
      subject.usable.map((number) => this.#query(subject, new Set([number]))),
    );
    await this.#ask(alone);
  }

  #markUsable(position: number, id: string): void {
    const number = this.#number.get(id);
    const subject = this.#subjects[position];
    if (number === undefined || subject === undefined || subject.usable.includes(number)) return;
    subject.usable = [...subject.usable, number].toSorted((a, b) => a - b);
    subject.bounds.clear();
    this.#affected[number]?.push(position);
  }

  #query(subject: Subject, chosen: Chosen): CostQuery {
    const visible = subject.usable
      .filter((number) => chosen.has(number))
      .map((number) => this.candidates[number]?.id ?? "");
    return { statementId: subject.statementId, visible: new Set(visible), hidden: this.#hidden };
  }

  async #ask(queries: readonly CostQuery[]): Promise<readonly CostAnswer[]> {
    const answers = await this.#costs.costs(queries);
    const asked = new Set(queries.map((query) => query.statementId));
    for (const subject of this.#subjects) if (asked.has(subject.statementId)) subject.bounds.clear();
    return answers;
  }

  /** Asks for the exact cost of every statement under each of these sets. */
  async learn(sets: readonly Chosen[]): Promise<void> {
    const queries = new Map<string, CostQuery>();
    for (const set of sets) {
      for (const subject of this.#subjects) {
        const bounds = this.#bounds(subject, set);
        if (bounds.lower < bounds.upper) queries.set(this.#key(subject, set), this.#query(subject, set));
      }
    }
    if (queries.size > 0) await this.#ask([...queries.values()]);
  }

  #key(subject: Subject, chosen: Chosen): string {
    let key = `${subject.statementId}\0`;
    for (const number of subject.usable) if (chosen.has(number)) key += `${String(number)},`;
    return key;
  }

  #bounds(subject: Subject, chosen: Chosen): { readonly lower: number; readonly upper: number } {
    const key = this.#key(subject, chosen);
    let bounds = subject.bounds.get(key);
    if (bounds === undefined) {
      bounds = this.#costs.bounds(this.#query(subject, chosen));
      subject.bounds.set(key, bounds);
    }
    return bounds;
  }

  /** The lowest and the highest the weighted cost of this set can be, by what is known. */
  value(chosen: Chosen): { readonly lower: number; readonly upper: number } {
    let lower = 0;
    for (const number of chosen) lower += this.#upkeep[number] ?? 0;
    let upper = lower;
    for (const subject of this.#subjects) {
      const bounds = this.#bounds(subject, chosen);
      lower += subject.weight * bounds.lower;
      upper += subject.weight * bounds.upper;
    }
    return { lower, upper };
  }

  /** By how much adding `number` is known to lower the cost of `chosen` (an under-estimate of the upper bound's fall). */
  benefit(chosen: Chosen, number: number): number {
    const larger = new Set(chosen).add(number);
    let benefit = -(this.#upkeep[number] ?? 0);
    for (const position of this.#affected[number] ?? []) {
      const subject = this.#subjects[position];
      if (subject === undefined) continue;
      benefit += subject.weight * (this.#bounds(subject, chosen).upper - this.#bounds(subject, larger).upper);
    }
    return benefit;
  }
}
