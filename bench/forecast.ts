/**
 * Are forecasts as sure as they say, and better than none? `npm run bench:forecast [-- --seed S] [--series 100]`
 *
 * Makes so many series of bloat of each shape, forecasts each a week ahead from what was seen, and looks at what came: how often it lay within the 95 %
 * interval, and the mean error beside two naive forecasts, the last value and the last value with the mean change so far (drift). Also the day on which
 * each crosses a threshold, against its interval, where it does within 60 days. Ends with one line of JSON.
 */
import { randomInt } from "node:crypto";
import { parseArgs } from "node:util";
import { forecast, type Observation, predictReindexNeeds } from "../src/maintenance/index.ts";
import type { IndexSample } from "../src/domain/index.ts";
import { seededRandom } from "../src/runtime/index.ts";
import { makeSeries, type Shape, shapes } from "./forecast/series.ts";

const { values: options } = parseArgs({
  options: { seed: { type: "string" }, series: { type: "string", default: "100" } },
});
const seed = options.seed === undefined ? randomInt(1_000_000) : Number(options.seed);
const random = seededRandom(seed);

const drift = (seen: readonly Observation[], at: Date): number => {
  const [first, last] = [seen[0], seen.at(-1)];
  if (first === undefined || last === undefined) return 0;
  const rate = (last.value - first.value) / (last.at.getTime() - first.at.getTime());
  return last.value + rate * (at.getTime() - last.at.getTime());
};

const mean = (values: readonly number[]): number =>
  values.reduce((sum, one) => sum + one, 0) / Math.max(1, values.length);

interface Tally {
  covered: number;
  refused: number;
  widths: number[];
  errors: number[];
  lastErrors: number[];
  driftErrors: number[];
  models: Map<string, number>;
}

/** Above which an index would be rebuilt. */
const THRESHOLD = 0.2;
const crossings = { foretold: 0, right: 0 };

/** Whether the day on which the level crosses the threshold lies between the days that were said; a level that stays below has to be possible. */
const judgeCrossing = (seen: readonly Observation[], later: readonly Observation[]): void => {
  const last = seen.at(-1);
  if (last === undefined || last.value >= THRESHOLD) return;
  const samples = seen.map(({ at, value }): IndexSample => ({
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
  const said = predictReindexNeeds(samples, last.at, THRESHOLD);
  if (said.kind !== "later") return;
  const came = later.find(({ value }) => value >= THRESHOLD)?.at ?? null;
  const isRight =
    came === null
      ? said.latest === null
      : said.earliest !== null && came >= said.earliest && (said.latest === null || came <= said.latest);
  crossings.foretold += 1;
  if (isRight) crossings.right += 1;
};

const tallies = new Map<Shape, Tally>();
for (const shape of shapes) {
  const tally: Tally = {
    covered: 0,
    refused: 0,
    widths: [],
    errors: [],
    lastErrors: [],
    driftErrors: [],
    models: new Map(),
  };
  tallies.set(shape, tally);
  for (let i = 0; i < Number(options.series); i += 1) {
    const { seen, future, later } = makeSeries(shape, random);
    judgeCrossing(seen, later);
    const said = forecast(seen, [future.at]);
    if (said.kind === "insufficient") {
      tally.refused += 1;
      continue;
    }
    const [one] = said.at;
    if (one === undefined) throw new Error("no forecast");
    if (future.value >= one.low && future.value <= one.high) tally.covered += 1;
    tally.widths.push(one.high - one.low);
    tally.errors.push(Math.abs(one.value - future.value));
    tally.lastErrors.push(Math.abs((seen.at(-1)?.value ?? 0) - future.value));
    tally.driftErrors.push(Math.abs(drift(seen, future.at) - future.value));
    tally.models.set(said.model, (tally.models.get(said.model) ?? 0) + 1);
  }
}

const points = (share: number): string => (100 * share).toFixed(2).padStart(8);
process.stdout.write(
  `${"shape".padEnd(22)} coverage  refused    width    error  last value    drift (points)  models\n`,
);
const all = [...tallies];
for (const [shape, tally] of all) {
  const n = tally.errors.length;
  process.stdout.write(
    `${shape.padEnd(22)} ${((100 * tally.covered) / n).toFixed(1).padStart(6)} % ${String(tally.refused).padStart(8)} ${points(mean(tally.widths))} ` +
      `${points(mean(tally.errors))}    ${points(mean(tally.lastErrors))} ${points(mean(tally.driftErrors))}           ` +
      `${[...tally.models].map(([model, count]) => `${model} ${String(count)}`).join(", ")}\n`,
  );
}
const errors = all.flatMap(([, { errors: some }]) => some);
const covered = all.reduce((sum, [, tally]) => sum + tally.covered, 0);
const lastValue = mean(all.flatMap(([, { lastErrors }]) => lastErrors));
const drifting = mean(all.flatMap(([, { driftErrors }]) => driftErrors));
process.stdout.write(
  `seed ${String(seed)}; naive: last value ${lastValue.toFixed(4)}, drift ${drifting.toFixed(4)}; days of crossing within what was said: ${String(crossings.right)} of ${String(crossings.foretold)}\n`,
);
const rounded = (value: number): number => Number(value.toFixed(4));
process.stdout.write(
  `${JSON.stringify({ series: errors.length, coverage: rounded(covered / errors.length), mae: rounded(mean(errors)), maeNaive: rounded(Math.min(lastValue, drifting)) })}\n`,
);
