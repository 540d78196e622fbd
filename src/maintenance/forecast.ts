import {
  leastSquares,
  type Point,
  predictLeastSquares,
  type Prediction,
  predictWanderingLine,
  theilSen,
} from "../statistics/index.ts";

const DAY_MS = 86_400_000;
/** Fewer, or over less time, say nothing about a rate. */
const fewest = { samples: 8, days: 3 } as const;
/** A forecast looks at so many samples at most, evenly over the series. */
const MOST_SAMPLES = 60;
/** Origins from which the past is forecast to choose a model, and the fewest that may choose one. */
const BACK_TESTS = 8;
const FEWEST_BACK_TESTS = 4;
/** By how much another model must have been better in the past to be preferred. */
const PREFERENCE = 0.85;
const LEVEL = 0.95;

export type ForecastModel = "wandering line" | "least squares" | "Theil–Sen";

export interface Insufficient {
  readonly kind: "insufficient";
  /** For people: what is missing. */
  readonly missing: string;
  /** When there will be enough if sampling goes on as it did; null before there is a second sample. */
  readonly enoughAt: Date | null;
}

export interface Forecast {
  readonly kind: "forecast";
  readonly model: ForecastModel;
  /** Level of the intervals. */
  readonly level: number;
  /** When each was forecast for, with its interval for one look at that time. */
  readonly at: readonly (Prediction & { readonly at: Date })[];
  /** Mean absolute error when the past was forecast by this model; null where there was too little of it. */
  readonly pastError: number | null;
}

/** One value over time. */
export interface Observation {
  readonly at: Date;
  readonly value: number;
}

const dayOf = ({ at }: { readonly at: Date }): number => at.getTime() / DAY_MS;

/** Whether a series says enough for a forecast; null when it does. */
const insufficiency = (series: readonly { readonly at: Date }[]): Insufficient | null => {
  const [first, last] = [series[0], series.at(-1)];
  const days = first === undefined || last === undefined ? 0 : dayOf(last) - dayOf(first);
  const lacksSamples = Math.max(0, fewest.samples - series.length);
  // An hour less is as good.
  const lacksDays = days > fewest.days - 1 / 24 ? 0 : fewest.days - days;
  if (lacksSamples === 0 && lacksDays === 0) return null;
  const missing = [
    ...(lacksSamples > 0 ? [`${String(lacksSamples)} more look${lacksSamples === 1 ? "" : "s"}`] : []),
    ...(lacksDays > 0 ? [`${lacksDays.toFixed(1)} more days`] : []),
  ].join(" and ");
  const step = series.length > 1 ? days / (series.length - 1) : null;
  const wait = step === null ? null : Math.max(lacksDays, lacksSamples * step);
  const enoughAt = wait === null || last === undefined ? null : new Date(last.at.getTime() + Math.ceil(wait * DAY_MS));
  return { kind: "insufficient", missing, enoughAt };
};

const thinned = (points: readonly Point[]): readonly Point[] => {
  if (points.length <= MOST_SAMPLES) return points;
  const step = (points.length - 1) / (MOST_SAMPLES - 1);
  return Array.from({ length: MOST_SAMPLES }, (_, i) => points[Math.round(i * step)]).flatMap((one) => one ?? []);
};

const pointOf = (model: Exclude<ForecastModel, "wandering line">, points: readonly Point[], x: number): number => {
  const line = model === "least squares" ? leastSquares(points) : theilSen(points);
  return line === null ? (points.at(-1)?.y ?? 0) : line.intercept + line.slope * x;
};

/** The absolute errors of each model when the past is forecast from origins within it, as far ahead as asked where the series is long enough. */
const backTest = (points: readonly Point[], ahead: number): ReadonlyMap<ForecastModel, readonly number[]> => {
  const errors = new Map<ForecastModel, number[]>([
    ["wandering line", []],
    ["least squares", []],
    ["Theil–Sen", []],
  ]);
  const last = points.at(-1)?.x ?? 0;
  // The tested stretch is at most half of what is known before it.
  const span = Math.min(ahead, (last - (points[0]?.x ?? 0)) / 3);
  const origins = points
    .map((_, i) => i + 1)
    .filter((n) => n >= fewest.samples && (points[n - 1]?.x ?? 0) <= last - span);
  const step = Math.max(1, Math.ceil(origins.length / BACK_TESTS));
  for (const n of origins.toReversed().filter((_, i) => i % step === 0)) {
    const known = points.slice(0, n);
    const from = points[n - 1]?.x ?? 0;
    const target = points.find(({ x }) => x >= from + span - 1e-9);
    if (target === undefined) continue;
    const [wandering] = predictWanderingLine(known, [target.x], LEVEL);
    errors.get("wandering line")?.push(Math.abs((wandering?.value ?? 0) - target.y));
    for (const model of ["least squares", "Theil–Sen"] as const) {
      errors.get(model)?.push(Math.abs(pointOf(model, known, target.x) - target.y));
    }
  }
  return errors;
};

const mean = (values: readonly number[]): number => values.reduce((sum, one) => sum + one, 0) / values.length;

/**
 * Forecasts a series to the given times. The model is the one that would have forecast its past best. The interval is of the wandering line, which has
 * least squares' own t interval within it and knows of levels that drift; where least squares forecasts, it is not narrower than its t interval.
 */
export const forecast = (series: readonly Observation[], times: readonly Date[]): Forecast | Insufficient => {
  const lacking = insufficiency(series);
  if (lacking !== null) return lacking;
  const points = thinned(series.map((one) => ({ x: dayOf(one), y: one.value })));
  const last = points.at(-1)?.x ?? 0;
  const xs = times.map((at) => at.getTime() / DAY_MS);
  const errors = backTest(points, Math.max(0, ...xs.map((x) => x - last)));
  const own = errors.get("wandering line") ?? [];
  let model: ForecastModel = "wandering line";
  if (own.length >= FEWEST_BACK_TESTS) {
    let best = mean(own) * PREFERENCE;
    for (const other of ["least squares", "Theil–Sen"] as const) {
      const error = mean(errors.get(other) ?? []);
      if (error < best) [model, best] = [other, error];
    }
  }
  const wandering = predictWanderingLine(points, xs, LEVEL);
  const at = wandering.map((one, i) => {
    const x = xs[i] ?? 0;
    const time = times[i] ?? new Date(0);
    if (model === "wandering line") return { ...one, at: time };
    const value = pointOf(model, points, x);
    const student = model === "least squares" ? predictLeastSquares(points, x, LEVEL) : null;
    return {
      at: time,
      value,
      low: Math.min(value, one.low, student?.low ?? Number.POSITIVE_INFINITY),
      high: Math.max(value, one.high, student?.high ?? Number.NEGATIVE_INFINITY),
    };
  });
  const past = errors.get(model) ?? [];
  return { kind: "forecast", model, level: LEVEL, at, pastError: past.length === 0 ? null : mean(past) };
};
