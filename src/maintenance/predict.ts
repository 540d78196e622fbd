import type { IndexSample } from "../domain/index.ts";
import { type Forecast, forecast, type Insufficient } from "./forecast.ts";
import { currentSeries } from "./series.ts";

const DAY_MS = 86_400_000;
/** A crossing is looked for so far ahead. */
const FARTHEST_DAYS = 60;

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

/**
 * Bloat and growth of one index for each of the next days, from its samples in order of time. Only those since the file was last rewritten count.
 * @param now when the forecast is made
 */
export const predictIndexBloat = (samples: readonly IndexSample[], now: Date, aheadDays: number): BloatPrediction => {
  const series = currentSeries(samples);
  const shares = series.flatMap(({ at, bloat }) => (bloat === null ? [] : [{ at, value: bloat.share }]));
  const needed = series.flatMap(({ at, neededBytes }) => (neededBytes === null ? [] : [{ at, value: neededBytes }]));
  const largest = Math.max(1, ...needed.map(({ value }) => value));
  const scaled = forecast(
    needed.map(({ at, value }) => ({ at, value: value / largest })),
    days(now, aheadDays),
  );
  const bytes = (share: number): number => Math.max(0, share * largest);
  return {
    bloat: clamped(forecast(shares, days(now, aheadDays)), 1),
    needed:
      scaled.kind === "insufficient"
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
          },
  };
};

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
  const { bloat } = predictIndexBloat(samples, now, FARTHEST_DAYS);
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
