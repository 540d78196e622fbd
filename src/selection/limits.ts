import { type HypotheticalIndex, tableId, type TableName } from "../domain/index.ts";
import type { Chosen } from "./objective.ts";

/** What a set of new indexes may take. */
export interface Limits {
  /** Bytes in all. */
  readonly bytes: number;
  readonly bytesPerTable: number;
  readonly bytesPerSchema: number;
  /** So many new indexes may come to this table. */
  readonly indexesOn: (table: TableName) => number;
}

/** One limit over a group of candidates: Σ use ≤ most. */
interface Limit {
  readonly use: ReadonlyMap<number, number>;
  readonly most: number;
}

/** The room that limits leave for sets of candidates. */
export class Room {
  readonly limits: readonly Limit[];
  readonly #of: readonly (readonly Limit[])[];

  constructor(candidates: readonly HypotheticalIndex[], { bytes, bytesPerTable, bytesPerSchema, indexesOn }: Limits) {
    const bytesOf = (numbers: readonly number[]): Map<number, number> =>
      new Map(numbers.map((number) => [number, candidates[number]?.estimatedBytes ?? 0]));
    const groups = (of: (table: TableName) => string): [TableName, number[]][] => {
      const found = new Map<string, [TableName, number[]]>();
      for (const [number, { definition }] of candidates.entries()) {
        const group = found.get(of(definition.table)) ?? [definition.table, []];
        group[1].push(number);
        found.set(of(definition.table), group);
      }
      return [...found.values()];
    };
    this.limits = [
      { use: bytesOf([...candidates.keys()]), most: bytes },
      ...groups(({ schema }) => schema).map(([, numbers]) => ({ use: bytesOf(numbers), most: bytesPerSchema })),
      ...groups(tableId).flatMap(([table, numbers]) => [
        { use: bytesOf(numbers), most: bytesPerTable },
        { use: new Map(numbers.map((number) => [number, 1])), most: indexesOn(table) },
      ]),
    ].filter(({ most }) => Number.isFinite(most));
    this.#of = candidates.map((_, number) => this.limits.filter(({ use }) => use.has(number)));
  }

  /** Whether one more would still be within all limits. */
  fits(members: Chosen, number: number): boolean {
    return this.beside(members)(number);
  }

  /** The same for many candidates beside the same members. */
  beside(members: Chosen): (number: number) => boolean {
    const left = new Map<Limit, number>();
    const room = (limit: Limit): number => {
      const known = left.get(limit) ?? limit.most - taken(limit, members);
      left.set(limit, known);
      return known;
    };
    return (number) => (this.#of[number] ?? []).every((limit) => (limit.use.get(number) ?? 0) <= room(limit));
  }

  /** Members that count towards a limit that is exceeded. */
  excess(members: Chosen): Chosen {
    const over = this.limits.filter((limit) => taken(limit, members) > limit.most);
    return new Set([...members].filter((number) => over.some(({ use }) => use.has(number))));
  }
}

const taken = ({ use }: Limit, members: Chosen): number => {
  let sum = 0;
  for (const number of members) sum += use.get(number) ?? 0;
  return sum;
};
