import type { Random } from "../../src/runtime/index.ts";

/** One planted situation: tables of its own, what runs on them, and the answers that are measured against each other. */
export interface Situation {
  readonly name: string;
  /** Makes and fills its tables. */
  readonly setup: string;
  readonly tables: readonly string[];
  /** What the application runs, in order; rolled back each time. */
  readonly traffic: readonly string[];
  /** Given as files of SQL, with their literals, instead of observed. */
  readonly asFiles?: boolean;
  /** Sets of indexes that are built and measured; none at all is always one of them. */
  readonly answers: Readonly<Record<string, readonly string[]>>;
  /** Where no index must be advised: the code that must say why. */
  readonly trap?: string;
  /** Drops that must be advised, by index name. */
  readonly drops?: readonly string[];
  /** A write that comes later, and must not fail. */
  readonly laterWrite?: string;
  /** What only the claim can show, for the server does not carry it out: the index must be advised as this, by pattern. */
  readonly mustMatch?: RegExp;
}

/** Draws names, sizes and values. */
export interface Draw {
  readonly random: Random;
  /** A new identifier from the stem, never the same again. */
  name(stem: string): string;
  /** An integer in [low, high]. */
  int(low: number, high: number): number;
  pick<T>(list: readonly [T, ...T[]]): T;
  times(count: number, make: (i: number) => string): string[];
}

export const drawFrom = (random: Random): Draw => {
  let last = 0;
  const int = (low: number, high: number): number => low + Math.floor(random() * (high - low + 1));
  const prefixes = [
    "acme",
    "blue",
    "core",
    "dim",
    "east",
    "flux",
    "grid",
    "hub",
    "iota",
    "jade",
    "kilo",
    "luna",
  ] as const;
  return {
    random,
    int,
    name: (stem) => {
      last += 1;
      return `${prefixes[int(0, prefixes.length - 1)] ?? "x"}_${stem}_${String(last)}`;
    },
    pick: (list) => list[int(0, list.length - 1)] ?? list[0],
    times: (count, make) => Array.from({ length: count }, (_, i) => make(i)),
  };
};
