import { type HypotheticalIndex, tableId } from "../domain/index.ts";
import type { Chosen } from "./objective.ts";

/** What a set of new indexes may take. */
export interface Limits {
  /** Bytes in all. */
  readonly bytes: number;
  readonly bytesPerTable: number;
  readonly indexesPerTable: number;
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

  constructor(candidates: readonly HypotheticalIndex[], { bytes, bytesPerTable, indexesPerTable }: Limits) {
    const sizes = candidates.map(({ estimatedBytes }, number): [number, number] => [number, estimatedBytes]);
    const tables = new Map<string, [number, number][]>();
    for (const [number, { definition, estimatedBytes }] of candidates.entries()) {
      const id = tableId(definition.table);
      const group = tables.get(id) ?? [];
      group.push([number, estimatedBytes]);
      tables.set(id, group);
    }
    this.limits = [
      { use: new Map(sizes), most: bytes },
      ...[...tables.values()].flatMap((group) => [
        { use: new Map(group), most: bytesPerTable },
        { use: new Map(group.map(([number]) => [number, 1])), most: indexesPerTable },
      ]),
    ].filter(({ most }) => Number.isFinite(most));
    this.#of = candidates.map((_, number) => this.limits.filter(({ use }) => use.has(number)));
  }

  /** Whether one more would still be within all limits. */
  fits(members: Chosen, number: number): boolean {
    return (this.#of[number] ?? []).every(
      (limit) => taken(limit, members) + (limit.use.get(number) ?? 0) <= limit.most,
    );
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
