import type { IndexSample } from "../../src/domain/index.ts";
import { type Observation, predictIndexBloat, predictReindexNeeds } from "../../src/maintenance/index.ts";

/** Above which an index would be rebuilt. */
const THRESHOLD = 0.2;

/** How the forecasts of one shape fared. */
export interface Tally {
  readonly shape: string;
  readonly real: boolean;
  series: number;
  covered: number;
  refused: number;
  readonly widths: number[];
  readonly errors: number[];
  readonly lastErrors: number[];
  readonly driftErrors: number[];
  readonly models: Map<string, number>;
  /** Days of crossing the threshold that were said, and those that came as said. */
  foretold: number;
  right: number;
}

export const emptyTally = (shape: string, real: boolean): Tally => ({
  shape,
  real,
  series: 0,
  covered: 0,
  refused: 0,
  widths: [],
  errors: [],
  lastErrors: [],
  driftErrors: [],
  models: new Map(),
  foretold: 0,
  right: 0,
});

/** The last value with the mean change so far. */
const drift = (seen: readonly Observation[], at: Date): number => {
  const [first, last] = [seen[0], seen.at(-1)];
  if (first === undefined || last === undefined) return 0;
  const rate = (last.value - first.value) / (last.at.getTime() - first.at.getTime());
  return last.value + rate * (at.getTime() - last.at.getTime());
};

/** Looks at one file, as the store keeps them. */
const samplesOf = (seen: readonly Observation[]): readonly IndexSample[] =>
  seen.map(({ at, value }) => ({
    at,
    indexOid: 1,
    fileNode: 1,
    sizeBytes: 1,
    neededBytes: null,
    entries: null,
    bloat: { share: value, method: "statistics" },
    scans: 0,
    replicaScans: {},
    tableWrites: 0,
    updates: 0,
    hotUpdates: 0,
  }));

/** Forecasts from what was seen, and looks at what came so many days after it. */
export const judgeForecast = (tally: Tally, seen: readonly Observation[], future: Observation, days: number): void => {
  const now = seen.at(-1)?.at ?? future.at;
  const said = predictIndexBloat(samplesOf(seen), now, days).bloat;
  if (said.kind === "insufficient") {
    tally.refused += 1;
    return;
  }
  const one = said.at.at(-1);
  if (one === undefined) throw new Error("no forecast");
  if (future.value >= one.low && future.value <= one.high) tally.covered += 1;
  tally.widths.push(one.high - one.low);
  tally.errors.push(Math.abs(one.value - future.value));
  tally.lastErrors.push(Math.abs((seen.at(-1)?.value ?? 0) - future.value));
  tally.driftErrors.push(Math.abs(drift(seen, future.at) - future.value));
  tally.models.set(said.model, (tally.models.get(said.model) ?? 0) + 1);
};

/** Whether the day on which the level crosses the threshold lies between the days that were said; a level that stays below has to be possible. */
export const judgeCrossing = (tally: Tally, seen: readonly Observation[], later: readonly Observation[]): void => {
  const last = seen.at(-1);
  const end = later.at(-1)?.at;
  if (last === undefined || end === undefined || last.value >= THRESHOLD) return;
  const said = predictReindexNeeds(samplesOf(seen), last.at, THRESHOLD);
  if (said.kind !== "later") return;
  const came = later.find(({ value }) => value >= THRESHOLD)?.at ?? null;
  const isRight =
    came === null
      ? said.latest === null || said.latest > end
      : said.earliest !== null && came >= said.earliest && (said.latest === null || came <= said.latest);
  tally.foretold += 1;
  if (isRight) tally.right += 1;
};
