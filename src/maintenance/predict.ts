import type { IndexSample } from "../domain/index.ts";
import { type Forecast, forecast, type Insufficient, type Observation } from "./forecast.ts";
import { currentSeries } from "./series.ts";

const DAY_MS = 86_400_000;
/** A crossing is looked for so far ahead. */
const FARTHEST_DAYS = 60;

/**
 * The pages of a fresh B-tree have a tenth to spare, and with random keys fill up all at about the same time: an index that was at its floor for weeks may bloat by a
 * quarter within one, and nothing in its past tells when. Then it levels off. Measured by `bench:forecast` on a server: of those that were at their floor within three
 * weeks, one in sixty rose by more in a week.
 */
const FILLING = { floor: 0.01, days: 21, rise: 0.25, riseDays: 7, most: 0.45, paceDays: [3, 7] } as const;

export interface BloatPrediction {
  /** Of the share of bloat, 0 to 1. */
  readonly bloat: Forecast | Insufficient;
  /** Of the bytes that the data need: what grows here is no bloat. */
  readonly needed: Forecast | Insufficient;
}

const days = (from: Date, count: number): readonly Date[] =>
  Array.from({ length: count }, (_, i) => new Date(from.getTime() + (i + 1) * DAY_MS));

const clamped = (made: Forecast | Insufficient, most: number): Forecast | Insufficient => {
  if (made.kind === "insufficient") return made;
  const within = (value: number): number => Math.min(most, Math.max(0, value));
  return {
    ...made,
    at: made.at.map((one) => ({ ...one, value: within(one.value), low: within(one.low), high: within(one.high) })),
  };
};

/** The rise a day since so many days before the last look, or since the first one. */
const paceOf = (series: readonly Observation[], last: Observation, days: number): number => {
  const from = series.find(({ at }) => last.at.getTime() - at.getTime() <= days * DAY_MS) ?? last;
  const passed = (last.at.getTime() - from.at.getTime()) / DAY_MS;
  return passed > 0 ? (last.value - from.value) / passed : 0;
};

/** Leaves room for what fresh pages do when they are full. */
const allowingForFilling = (made: Forecast | Insufficient, series: readonly Observation[]): Forecast | Insufficient => {
  const last = series.at(-1);
  if (made.kind === "insufficient" || last === undefined) return made;
  const isFilling = series.some(
    ({ at, value }) => value <= FILLING.floor && last.at.getTime() - at.getTime() <= FILLING.days * DAY_MS,
  );
  if (!isFilling) return made;
  const daysTo = (at: Date): number => Math.max(0, at.getTime() - last.at.getTime()) / DAY_MS;
  const risen = (at: Date): number =>
    last.value + Math.min(FILLING.most, FILLING.rise * Math.sqrt(daysTo(at) / FILLING.riseDays));
  // A burst of page splits ends: it is carried on no faster than it went over the last week, nor than over the last days.
  const pace = Math.max(0, Math.min(...FILLING.paceDays.map((span) => paceOf(series, last, span))));
  const carriedOn = (at: Date): number => last.value + pace * daysTo(at);
  // At its floor a page more or less is all that is seen.
  const isAtFloor = last.value <= FILLING.floor;
  return {
    ...made,
    at: made.at.map((one) => ({
      ...one,
      value: Math.min(one.value, carriedOn(one.at)),
      low: isAtFloor ? 0 : Math.min(one.low, carriedOn(one.at)),
      high: Math.max(one.high, risen(one.at)),
    })),
  };
};

/** The share of bloat for each of the next days, as {@link predictIndexBloat} has it. */
export const predictBloat = (
  samples: readonly IndexSample[],
  now: Date,
  aheadDays: number,
): BloatPrediction["bloat"] => {
  const shares = currentSeries(samples).flatMap(({ at, bloat }) =>
    bloat === null ? [] : [{ at, value: bloat.share }],
  );
  return clamped(allowingForFilling(forecast(shares, days(now, aheadDays)), shares), 1);
};

const predictNeeded = (samples: readonly IndexSample[], now: Date, aheadDays: number): BloatPrediction["needed"] => {
  const needed = currentSeries(samples).flatMap(({ at, neededBytes }) =>
    neededBytes === null ? [] : [{ at, value: neededBytes }],
  );
  const largest = Math.max(1, ...needed.map(({ value }) => value));
  const scaled = forecast(
    needed.map(({ at, value }) => ({ at, value: value / largest })),
    days(now, aheadDays),
  );
  const bytes = (share: number): number => Math.max(0, share * largest);
  return scaled.kind === "insufficient"
    ? scaled
    : {
        ...scaled,
        pastError: scaled.pastError === null ? null : scaled.pastError * largest,
        at: scaled.at.map((one) => ({
          ...one,
          value: bytes(one.value),
          low: bytes(one.low),
          high: bytes(one.high),
        })),
      };
};

/**
 * Bloat and growth of one index for each of the next days, from its samples in order of time. Only those since the file was last rewritten count.
 * @param now when the forecast is made
 */
export const predictIndexBloat = (samples: readonly IndexSample[], now: Date, aheadDays: number): BloatPrediction => ({
  bloat: predictBloat(samples, now, aheadDays),
  needed: predictNeeded(samples, now, aheadDays),
});

export type ReindexNeed =
  | Insufficient
  /** It is above the threshold. */
  | { readonly kind: "now"; readonly share: number }
  /** It will be: on which day, and the days between which that is within the interval; null: later than we look. */
  | {
      readonly kind: "later";
      readonly on: Date | null;
      readonly earliest: Date | null;
      readonly latest: Date | null;
      readonly lookedUntil: Date;
      /** The forecast of each day until then; empty where it stays below. */
      readonly path: Forecast["at"];
    };

/** When an index's bloat will cross the threshold, from its samples in order of time. */
export const predictReindexNeeds = (samples: readonly IndexSample[], now: Date, threshold: number): ReindexNeed => {
  const last = currentSeries(samples).findLast(({ bloat }) => bloat !== null)?.bloat;
  if (last !== undefined && last !== null && last.share >= threshold) return { kind: "now", share: last.share };
  const bloat = predictBloat(samples, now, FARTHEST_DAYS);
  if (bloat.kind === "insufficient") return bloat;
  const first = (bound: "value" | "low" | "high"): Date | null =>
    bloat.at.find((one) => one[bound] >= threshold)?.at ?? null;
  const earliest = first("high");
  return {
    kind: "later",
    on: first("value"),
    earliest,
    latest: first("low"),
    lookedUntil: new Date(now.getTime() + FARTHEST_DAYS * DAY_MS),
    path: earliest === null ? [] : bloat.at,
  };
};
