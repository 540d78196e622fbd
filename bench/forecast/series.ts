import type { Observation } from "../../src/maintenance/index.ts";
import type { Random } from "../../src/runtime/index.ts";

const DAY_MS = 86_400_000;

/** How a share of bloat moves over time. Each series has its own rates, noise, cadence and length. */
export type Shape = "linear" | "steps by vacuum" | "weekly rhythm" | "reindexed in between" | "levels off" | "short";

export const shapes: readonly Shape[] = [
  "linear",
  "steps by vacuum",
  "weekly rhythm",
  "reindexed in between",
  "levels off",
  "short",
];

export interface MadeSeries {
  readonly shape: Shape;
  /** What was seen, of the present file only. */
  readonly seen: readonly Observation[];
  /** What was seen `horizonDays` after the last of these. */
  readonly future: Observation;
  /** The level, without noise, on each of the next 60 days. */
  readonly later: readonly Observation[];
}

const normal = (random: Random): number => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());

const poisson = (random: Random, mean: number): number => {
  let count = 0;
  for (let product = random(); product > Math.exp(-mean); product *= random()) count += 1;
  return count;
};

/** The true level at each time, by shape. */
const levels = (shape: Shape, random: Random, times: readonly number[], weekday: number): readonly number[] => {
  const start = 0.02 + 0.2 * random();
  const slope = 0.012 * random() ** 2;
  switch (shape) {
    case "linear":
    case "short":
    case "reindexed in between":
      return times.map((day) => start + slope * day);
    case "weekly rhythm": {
      // Grows with the week's writes, and is given back in part when there are few.
      const height = 0.004 + 0.02 * random();
      const wave = (day: number): number =>
        ([0, 0.4, 0.8, 1, 1, 0.6, 0.2][Math.floor(day + weekday) % 7] ?? 0) * height;
      return times.map((day) => start + slope * day + wave(day));
    }
    case "steps by vacuum": {
      // Space is lost when vacuum comes, every few days by chance, and by chance more or less.
      const [rate, size] = [0.15 + 0.6 * random(), 0.002 + 0.01 * random()];
      let level = start;
      let before = times[0] ?? 0;
      return times.map((day) => {
        const steps = poisson(random, rate * (day - before));
        for (let i = 0; i < steps; i += 1) level += size * (0.3 + 1.4 * random());
        before = day;
        return level;
      });
    }
    case "levels off": {
      const [top, pace] = [0.1 + 0.4 * random(), 8 + 40 * random()];
      return times.map((day) => start + top * (1 - Math.exp(-day / pace)));
    }
  }
};

const horizonDays = 7;

export const makeSeries = (shape: Shape, random: Random): MadeSeries => {
  const isShort = shape === "short";
  const count = isShort ? 8 : 10 + Math.floor(35 * random());
  const cadence = isShort ? 3 / 7 : 1;
  const jitter = (): number => 0.05 * (random() - 0.5);
  const age = shape === "levels off" ? 10 * random() : 30 * random();
  const days = Array.from({ length: count }, (_, i) => age + i * cadence + (i > 0 && i < count - 1 ? jitter() : 0));
  const last = days.at(-1) ?? 0;
  const ahead = Array.from({ length: 60 }, (_, i) => last + i + 1);
  const all = [...days, ...ahead];
  const noise = 0.0005 + 0.006 * random() ** 2;
  const within = (value: number): number => Math.min(1, Math.max(0, value));
  const truth = levels(shape, random, all, Math.floor(7 * random())).map(within);
  const observe = (day: number, i: number): Observation => ({
    at: new Date(Math.round(day * DAY_MS)),
    value: within((truth[i] ?? 0) + noise * normal(random)),
  });
  const observed = days.map(observe);
  // A reindex in the past: only what the new file showed counts, and that is less.
  const from = shape === "reindexed in between" ? Math.floor(random() * (count - 8)) : 0;
  return {
    shape,
    seen: observed.slice(from),
    future: observe(last + horizonDays, count + horizonDays - 1),
    later: ahead.map((day, i) => ({ at: new Date(Math.round(day * DAY_MS)), value: truth[count + i] ?? 0 })),
  };
};
