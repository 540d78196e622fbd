/**
 * Are forecasts as sure as they say, and better than none? `npm run bench:forecast [-- --seed S] [--series 200] [--tables 16] [--days 42]`
 *
 * Makes so many series of bloat of each shape, and takes more from a real server, where so many tables of each shape are churned for so many days of a calendar
 * that is moved on by hand, and the estimator looks at their indexes once a day. Forecasts each a week ahead from what was seen, those of the server every week, and
 * looks at what came: how often it lay within the 95 % interval, and the mean error beside two naive forecasts, the last value and the last value with the mean
 * change so far (drift). Also the day on which each crosses a threshold, against its interval, within 60 days or as long as the server lived. Ends with one line of JSON.
 */
import { randomInt } from "node:crypto";
import { parseArgs } from "node:util";
import { seededRandom } from "../src/runtime/index.ts";
import { churnedSeries, churnShapes } from "./forecast/churned.ts";
import { makeSeries, shapes } from "./forecast/series.ts";
import { emptyTally, judgeCrossing, judgeForecast, type Tally } from "./forecast/tally.ts";

const { values: options } = parseArgs({
  options: {
    seed: { type: "string" },
    series: { type: "string", default: "200" },
    tables: { type: "string", default: "16" },
    days: { type: "string", default: "42" },
  },
});
const seed = options.seed === undefined ? randomInt(1_000_000) : Number(options.seed);
const random = seededRandom(seed);

/** Days ahead; on the server also between two forecasts of one index, and before the first. */
const WEEK = 7;

const tallies: Tally[] = shapes.map((shape) => {
  const tally = emptyTally(shape, false);
  for (let i = 0; i < Number(options.series); i += 1) {
    const { seen, future, later } = makeSeries(shape, random);
    tally.series += 1;
    judgeCrossing(tally, seen, later);
    judgeForecast(tally, seen, future, WEEK);
  }
  return tally;
});

const churned = await churnedSeries(random, { tables: Number(options.tables), days: Number(options.days) });
for (const shape of churnShapes) {
  const tally = emptyTally(shape, true);
  for (const { looks } of churned.filter((one) => one.shape === shape)) {
    tally.series += 1;
    for (let origin = WEEK + 1; origin + WEEK < looks.length; origin += WEEK) {
      const [last, future] = [looks[origin], looks[origin + WEEK]];
      // A forecast is of one file; what was made anew meanwhile is another.
      if (last === undefined || future?.fileNode !== last.fileNode) continue;
      const seen = looks.slice(0, origin + 1).filter(({ fileNode }) => fileNode === last.fileNode);
      judgeForecast(tally, seen, future, WEEK);
      judgeCrossing(
        tally,
        seen,
        looks.slice(origin + 1).filter(({ fileNode }) => fileNode === last.fileNode),
      );
    }
  }
  tallies.push(tally);
}

const mean = (values: readonly number[]): number =>
  values.reduce((sum, one) => sum + one, 0) / Math.max(1, values.length);
const rounded = (value: number): number => Number(value.toFixed(4));
const coverageOf = ({ covered, errors }: Tally): number => covered / Math.max(1, errors.length);
const summaryOf = (some: readonly Tally[]) => {
  const errors = some.flatMap((one) => one.errors);
  return {
    series: some.reduce((sum, one) => sum + one.series, 0),
    forecasts: errors.length,
    coverage: rounded(some.reduce((sum, one) => sum + one.covered, 0) / Math.max(1, errors.length)),
    leastCoverage: rounded(Math.min(...some.map(coverageOf))),
    mae: rounded(mean(errors)),
    maeLastValue: rounded(mean(some.flatMap((one) => one.lastErrors))),
    maeDrift: rounded(mean(some.flatMap((one) => one.driftErrors))),
    crossings: some.reduce((sum, one) => sum + one.foretold, 0),
    crossingsRight: some.reduce((sum, one) => sum + one.right, 0),
  };
};

const points = (share: number): string => (100 * share).toFixed(2).padStart(8);
process.stdout.write(
  `${"shape".padEnd(30)} series coverage  refused    width    error  last value    drift (points)  crossings  models\n`,
);
for (const tally of tallies) {
  const { shape, real, series, refused, widths, errors, lastErrors, driftErrors, models, right, foretold } = tally;
  process.stdout.write(
    `${`${shape}${real ? " (server)" : ""}`.padEnd(30)} ${String(series).padStart(6)} ${(100 * coverageOf(tally)).toFixed(1).padStart(6)} % ` +
      `${String(refused).padStart(8)} ${points(mean(widths))} ${points(mean(errors))}    ${points(mean(lastErrors))} ${points(mean(driftErrors))}           ` +
      `${`${String(right)}/${String(foretold)}`.padStart(9)}  ${[...models].map(([model, count]) => `${model} ${String(count)}`).join(", ")}\n`,
  );
}
const all = summaryOf(tallies);
process.stdout.write(`seed ${String(seed)}\n`);
process.stdout.write(
  `${JSON.stringify({
    series: all.series,
    coverage: all.coverage,
    mae: all.mae,
    maeNaive: Math.min(all.maeLastValue, all.maeDrift),
    simulated: summaryOf(tallies.filter(({ real }) => !real)),
    real: summaryOf(tallies.filter(({ real }) => real)),
  })}\n`,
);
