import { type SizedColumn, statisticsOf } from "./tuple.ts";

/** Values that occur about equally often: how many, and each one's share of the rows. */
export interface FrequencyClass {
  readonly values: number;
  readonly share: number;
  /** For a combination of columns: the share of the rows that have its rarest part. */
  readonly rarest: number;
}

/** More classes than this per column are merged with their neighbours, so that the product over three columns stays small. */
const CLASSES = 12;

/** How a column's values are spread; shares are of the rows that are not null. */
export const frequencyClasses = (column: SizedColumn, rows: number): FrequencyClass[] => {
  const statistics = statisticsOf(column);
  // Nothing known: every row its own value, the estimate that promises least.
  if (statistics === null || statistics.distinct === 0) return [{ values: rows, share: 1 / rows, rarest: 1 / rows }];
  const present = 1 - statistics.nullFraction;
  if (present <= 0) return [];
  const distinct = Math.max(1, statistics.distinct > 0 ? statistics.distinct : -statistics.distinct * rows);
  const common = (statistics.mostCommonFrequencies ?? []).map((frequency) => frequency / present);
  const rest = Math.max(0, 1 - common.reduce((sum, share) => sum + share, 0));
  const others = distinct - common.length;
  const classes: FrequencyClass[] = [];
  const step = Math.ceil(common.length / CLASSES);
  for (let from = 0; from < common.length; from += step) {
    const part = common.slice(from, from + step);
    const share = part.reduce((sum, one) => sum + one, 0) / part.length;
    classes.push({ values: part.length, share, rarest: share });
  }
  if (others >= 1 && rest > 0) {
    classes.push({ values: others, share: rest / others, rarest: rest / others });
  }
  return classes;
};

export const crossed = (left: readonly FrequencyClass[], right: readonly FrequencyClass[]): FrequencyClass[] =>
  left.flatMap((one) =>
    right.map((other) => ({
      values: one.values * other.values,
      share: one.share * other.share,
      rarest: Math.min(one.rarest, other.rarest),
    })),
  );

/** More combinations of classes than this are merged with their neighbours, so that any number of columns can be crossed. */
const COMBINATIONS = 12 * CLASSES;

export const merged = (classes: readonly FrequencyClass[]): readonly FrequencyClass[] => {
  if (classes.length <= COMBINATIONS) return classes;
  const sorted = classes.toSorted((a, b) => a.share - b.share);
  const step = Math.ceil(sorted.length / COMBINATIONS);
  const result: FrequencyClass[] = [];
  for (let from = 0; from < sorted.length; from += step) {
    const part = sorted.slice(from, from + step);
    const values = part.reduce((sum, one) => sum + one.values, 0);
    const mean = (of: (one: FrequencyClass) => number): number =>
      part.reduce((sum, one) => sum + one.values * of(one), 0) / values;
    result.push({ values, share: mean((one) => one.share), rarest: mean((one) => one.rarest) });
  }
  return result;
};

/** How many of a class's combinations occur: each of the `most` rows with its rarest part has the other parts by chance. */
export const occurringValues = ({ values, share, rarest }: FrequencyClass, rows: number): number => {
  const most = Math.max(1, rows * rarest);
  const chance = Math.min(1, (rows * share) / most);
  return values * (1 - (1 - chance) ** most);
};
