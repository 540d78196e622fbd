import type { Column, ColumnStatistics } from "../domain/index.ts";
import { arrayElements } from "../postgres/index.ts";

/** Elements that occur in about equally many rows. */
export interface ElementClass {
  readonly elements: number;
  /** Rows that each of them occurs in. */
  readonly rows: number;
  /** Mean bytes of the key in the index, without length word. */
  readonly bytes: number;
}

const byteLength = (text: string): number => Buffer.byteLength(text);

/**
 * How many different ones there are, from a sample's counts: the estimator that ANALYZE uses (Haas and Stokes 1998, "Duj1").
 * @param sample size of the sample
 * @param seen different ones in it
 * @param once those that occur once in it
 * @param total size of what was sampled
 */
export const distinctFromSample = (sample: number, seen: number, once: number, total: number): number => {
  if (sample === 0) return 0;
  const estimate = (sample * seen) / (sample - once + (once * sample) / Math.max(sample, total));
  return Math.min(total, Math.max(seen, estimate));
};

/** A column's values that ANALYZE kept: each with a weight, the share of the rows it stands for. */
const sampleOf = (statistics: ColumnStatistics): { readonly value: string; readonly weight: number }[] => {
  const common = arrayElements(statistics.mostCommonValues ?? "");
  const frequencies = statistics.mostCommonFrequencies ?? [];
  const bounds = arrayElements(statistics.histogramBounds ?? "");
  const rest = Math.max(0, 1 - statistics.nullFraction - frequencies.reduce((sum, one) => sum + one, 0));
  return [
    ...common.map((value, i) => ({ value, weight: frequencies[i] ?? 0 })),
    ...bounds.map((value) => ({ value, weight: rest / bounds.length })),
  ];
};

/** The trigrams of a text as pg_trgm makes them: words of letters and digits, lower case, padded with two blanks before and one behind. */
const trigrams = (text: string): Set<string> => {
  const found = new Set<string>();
  for (const word of text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []) {
    const padded = `  ${word} `;
    for (let i = 0; i + 3 <= padded.length; i += 1) found.add(padded.slice(i, i + 3));
  }
  return found;
};

/** Tokens by where in the value they come from: each place has a variety of its own. */
type PlacedTokens = Iterable<readonly [token: string, place: string]>;

/** The keys of jsonb_ops (each object key, each scalar) or jsonb_path_ops (a hash of each scalar with its path). */
const jsonKeys = (value: unknown, path: string, hashed: boolean): [string, string][] => {
  if (Array.isArray(value)) return value.flatMap((one) => jsonKeys(one, path, hashed));
  if (typeof value === "object" && value !== null) {
    return Object.entries(value).flatMap(([key, one]) => {
      const below = jsonKeys(one, `${path}.${key}`, hashed);
      return hashed ? below : [[`.${key}`, ""] as [string, string], ...below];
    });
  }
  return [[`${hashed ? path : ""}=${JSON.stringify(value)}`, path]];
};

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
};

interface Tokens {
  /** Each token once. */
  of(value: string): PlacedTokens;
  bytes(token: string): number;
}

const inOnePlace = (tokens: Iterable<string>): PlacedTokens =>
  new Map([...tokens].map((token) => [token, ""] as const));

const tokensOf = (column: Column, opclass: string | undefined): Tokens | null => {
  if (opclass === "gin_trgm_ops") return { of: (text) => inOnePlace(trigrams(text)), bytes: () => 3 };
  if (column.baseType === "jsonb") {
    const hashed = opclass === "jsonb_path_ops";
    return {
      of: (text) => new Map(jsonKeys(parsed(text), "", hashed)),
      bytes: (token) => (hashed ? 4 : byteLength(token)),
    };
  }
  if (column.baseType.startsWith("_")) {
    return { of: (text) => inOnePlace(arrayElements(text)), bytes: byteLength };
  }
  return null;
};

/** A GIN index on a fixed-length array stores elements of that length. */
const elementBytes: Readonly<Record<string, number>> = { _int2: 2, _int4: 4, _int8: 8, _uuid: 16, _date: 4 };

interface Counted {
  times: number;
  weight: number;
}

/** A token in more of the sampled values than this counts as known. */
const COMMON_SHARE = 0.1;

const classesOf = (
  counted: ReadonlyMap<string, Counted>,
  sampled: number,
  rows: number,
  bytesOf: (token: string) => number,
): ElementClass[] => {
  // Those that are everywhere tell nothing about how many rare ones there are.
  const everywhere = [...counted].filter(([, one]) => one.times > COMMON_SHARE * sampled);
  const all = [...counted].filter(([, one]) => one.times <= COMMON_SHARE * sampled);
  const seen = all.reduce((sum, [, one]) => sum + one.times, 0);
  const once = all.filter(([, one]) => one.times === 1);
  const repeated = all.filter(([, one]) => one.times > 1);
  const occurrences = all.reduce((sum, [, one]) => sum + one.weight, 0) * rows;
  const classes = [...everywhere, ...repeated].map(([token, one]) => ({
    elements: 1,
    rows: one.weight * rows,
    bytes: bytesOf(token),
  }));
  if (once.length > 0) {
    const rare = once.reduce((sum, [, one]) => sum + one.weight, 0) * rows;
    const distinct = distinctFromSample(seen, all.length, once.length, occurrences) - repeated.length;
    const elements = Math.max(1, Math.min(rare, Math.max(once.length, distinct)));
    const bytes = once.reduce((sum, [token]) => sum + bytesOf(token), 0) / once.length;
    classes.push({ elements, rows: rare / elements, bytes });
  }
  return classes;
};

// ANALYZE keeps only values of up to 1 kB: what is not there is taken to be alike.
const fromSample = (column: Column, tokens: Tokens, statistics: ColumnStatistics, rows: number): ElementClass[] => {
  const places = new Map<string, Map<string, Counted>>();
  const sample = sampleOf(statistics);
  for (const { value, weight } of sample) {
    for (const [token, place] of tokens.of(value)) {
      const counted = places.get(place) ?? new Map<string, Counted>();
      places.set(place, counted);
      const one = counted.get(token) ?? { times: 0, weight: 0 };
      counted.set(token, { times: one.times + 1, weight: one.weight + weight });
    }
  }
  const bytesOf = (token: string): number => elementBytes[column.baseType] ?? tokens.bytes(token);
  return [...places.values()].flatMap((counted) => classesOf(counted, sample.length, rows, bytesOf));
};

/** Mean number of different elements in a value, where ANALYZE does not say: from the width of a tsvector (tsvector.h) or array. */
const elementsPerValue = (column: Column, statistics: ColumnStatistics, meanBytes: number): number => {
  const counts = statistics.elementCountHistogram;
  const average = counts?.at(-1);
  if (average !== undefined) return average;
  // A tsvector has 4 bytes for each lexeme, its text, and 4 for one position.
  const each = column.baseType === "tsvector" ? 4 + meanBytes + 0.5 + 4 : meanBytes + 5;
  return Math.max(1, (statistics.averageWidth - 8) / each);
};

const fromElements = (column: Column, statistics: ColumnStatistics, rows: number): ElementClass[] => {
  const common = arrayElements(statistics.mostCommonElements ?? "");
  // Behind one frequency per element: the least, the greatest, and for arrays that of null.
  const frequencies = (statistics.mostCommonElementFrequencies ?? []).slice(0, common.length);
  const present = rows * (1 - statistics.nullFraction);
  const fixed = elementBytes[column.baseType];
  const classes = common.map((element, i) => ({
    elements: 1,
    rows: (frequencies[i] ?? 0) * present,
    bytes: fixed ?? byteLength(element),
  }));
  const meanBytes = classes.reduce((sum, one) => sum + one.bytes, 0) / Math.max(1, classes.length);
  const known = frequencies.reduce((sum, one) => sum + one, 0);
  const rest = elementsPerValue(column, statistics, meanBytes) - known;
  const least = Math.min(...frequencies);
  // The rest is rarer than the rarest known: a third of it, the mean of a list that falls with its rank.
  if (rest > 0.02 * known && classes.length > 0) {
    const each = Math.max(1, (least * present) / 3);
    classes.push({ elements: (rest * present) / each, rows: each, bytes: meanBytes });
  }
  return classes;
};

/** How the values of `column ->> 'key'` are spread, from the jsonb values that ANALYZE kept; null where that says nothing. */
export const memberSpread = (
  column: Column,
  key: string,
  rows: number,
): { readonly distinct: number; readonly bytes: number } | null => {
  const statistics = column.statistics ?? column.inheritedStatistics;
  if (statistics === null) return null;
  const members = sampleOf(statistics).flatMap(({ value }) => {
    const object = parsed(value);
    const member = typeof object === "object" && object !== null ? (object as Record<string, unknown>)[key] : undefined;
    return member === undefined ? [] : [typeof member === "string" ? member : JSON.stringify(member)];
  });
  if (members.length === 0) return null;
  const times = new Map<string, number>();
  for (const member of members) times.set(member, (times.get(member) ?? 0) + 1);
  const once = [...times.values()].filter((one) => one === 1).length;
  return {
    distinct: distinctFromSample(members.length, times.size, once, rows),
    bytes: members.reduce((sum, one) => sum + byteLength(one), 0) / members.length + 1,
  };
};

/**
 * What a GIN index on this column would have as keys: from the most common elements of arrays and tsvectors, else from the values that ANALYZE
 * kept. Empty where nothing is known.
 */
export const elementClasses = (column: Column, opclass: string | undefined, rows: number): ElementClass[] => {
  const statistics = column.statistics ?? column.inheritedStatistics;
  if (statistics === null) return [];
  if (statistics.mostCommonElements !== null) return fromElements(column, statistics, rows);
  const tokens = tokensOf(column, opclass);
  return tokens === null ? [] : fromSample(column, tokens, statistics, rows);
};
