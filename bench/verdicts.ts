/**
 * How often do verdicts err, and how often do they find what is there? `npm run bench:verdicts [-- --runs 2000 --replays 400 --power 1350 --seed 1]`
 *
 * Two arms side by side, looked at after every window. Experiments without an effect, simulated: calls of each arm are a Gaussian AR(1) in ranks
 * (φ 0, 0.5, 0.8), mapped to latencies that are recorded first, from an embedded server under load. Replays: the recorded trace itself, its transactions
 * drawn anew by a hash each time. Planted regressions of 50 and 10 %: found by when, against the fixed-size test of the same estimate and the same power, that is
 * the fewest windows after which one look finds as many; `--power` runs of each, for of a few runs hardly any power can be told from all.
 * Coverage: the share of all experiments in which every interval, at every look, held the truth (95 % are promised).
 * Then before and after a change (`--levels` runs per cell): synthetic blocks (test/verification/traffic.ts) with heavy-tailed calls, levels that wander with
 * autocorrelation φ, and noise shared by all statements. A "winner" is `better` or `worse` at any look.
 */
import { parseArgs } from "node:util";
import { seededRandom } from "../src/runtime/index.ts";
import { regularizedIncompleteBeta } from "../src/statistics/index.ts";
import { judge, type Evidence } from "../src/verification/index.ts";
import { simulate, type Shape } from "../test/verification/traffic.ts";
import {
  type ArmsRun,
  callsForDeviation,
  latencyOfNormal,
  lookAtAll,
  replayArms,
  simulateArms,
} from "./verdicts/arms.ts";
import { recordTrace } from "./verdicts/trace.ts";

export interface Scenario {
  readonly phi: number;
  /** Standard deviation of the logarithm of a statement's level from block to block, apart from the noise of its calls. */
  readonly noise: number;
  readonly before: number;
  /** Blocks after the change until we give up. */
  readonly after: number;
  /** Time after / time before of the affected statement; 1 is an A/A experiment. */
  readonly factor: number;
}

const shapes = (phi: number, noise: number): Readonly<Record<string, Shape>> => ({
  read: { meanMs: 40, calls: 20, noise, phi },
  write: { meanMs: 1, calls: 40, noise, phi },
  "control-1": { meanMs: 5, calls: 20, noise: 0.1, phi },
  "control-2": { meanMs: 0.5, calls: 60, noise: 0.1, phi },
});

export interface Rates {
  /** Share of the runs with a winner at some look. */
  readonly winners: number;
  /** Share of the runs called worse. */
  readonly worse: number;
  readonly equivalent: number;
  /** Mean number of blocks after the change until the decision, among the decided. */
  readonly blocks: number | null;
}

/** Runs one scenario, stopping each run at its first decision. */
export const measure = (scenario: Scenario, runs: number, seed = 1): Rates => {
  const { phi, noise, before, after, factor } = scenario;
  let winners = 0;
  let worse = 0;
  let equivalent = 0;
  let waited = 0;
  for (let run = 0; run < runs; run += 1) {
    const blocks = simulate(seed * 1_000_003 + run, before + after, shapes(phi, noise), (id, i) =>
      id === "read" && i >= before ? factor : 1,
    );
    for (let seen = 5; seen <= after; seen += 1) {
      const evidence: Evidence = {
        before: blocks.slice(0, before),
        after: blocks.slice(before, before + seen),
        affected: ["read"],
        writes: ["write"],
        control: ["control-1", "control-2"],
      };
      const { outcome } = judge(evidence);
      if (outcome === "undecided") continue;
      if (outcome === "equivalent") equivalent += 1;
      else winners += 1;
      if (outcome === "worse") worse += 1;
      waited += seen;
      break;
    }
  }
  const decided = winners + equivalent;
  return {
    winners: winners / runs,
    worse: worse / runs,
    equivalent: equivalent / runs,
    blocks: decided === 0 ? null : waited / decided,
  };
};

/** The upper end of the exact 95 % interval of a share (Clopper & Pearson 1934, Biometrika 26): the p at which so few would be seen in 2.5 %. */
const atMost = (count: number, runs: number): number => {
  let [low, high] = [count / runs, 1];
  for (let i = 0; i < 60; i += 1) {
    const middle = (low + high) / 2;
    if (count < runs && regularizedIncompleteBeta(middle, count + 1, runs - count) < 0.975) low = middle;
    else high = middle;
  }
  return high;
};

const quantile = (values: readonly number[], p: number): number =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(p * values.length))] ?? Number.NaN;

const print = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

/** Of so many windows an experiment consists at most. */
const windows = 800;
/** And one with a large regression in it: several times what either test takes. */
const windowsForLarge = 200;
/** Windows so long that the logarithm of the ratio of their means varies by this: a regression of 50 % is nine tenths of it. */
const windowDeviation = 0.45;
const phis = [0, 0.5, 0.8] as const;

interface Cell {
  readonly statement: string;
  readonly phi: number;
  readonly latencies: Float64Array;
  readonly callsPerWindow: number;
}

const share = (runs: readonly ArmsRun[], what: (run: ArmsRun) => boolean): number =>
  runs.filter(what).length / runs.length;

/** A regression planted in each cell: found how often, and when, against the fixed-size test of the same power. */
const plant = (
  cells: readonly Cell[],
  { factor, windows, runsPerCell }: { readonly factor: number; readonly windows: number; readonly runsPerCell: number },
  seed: number,
) => {
  const ratios: number[] = [];
  const all: ArmsRun[] = [];
  for (const { statement, phi, latencies, callsPerWindow } of cells) {
    const runs = Array.from({ length: runsPerCell }, (_, run) => {
      const { control, treatment } = simulateArms(
        { phi, latencies, windows, callsPerWindow, factor },
        seed * 7919 + run,
      );
      return lookAtAll(control, treatment, factor - 1, true);
    });
    const found = runs.filter(({ winner }) => winner?.outcome === "worse").length;
    const fixed =
      [...(runs[0]?.fixedPValues.keys() ?? [])].find(
        (n) => runs.filter(({ fixedPValues }) => (fixedPValues.get(n) ?? 1) < 0.05).length >= found,
      ) ?? windows;
    const own = runs.map(({ winner }) => (winner?.window ?? windows) / fixed);
    ratios.push(...own);
    all.push(...runs);
    print(
      `+${((factor - 1) * 100).toFixed(0)} % in ${statement}, φ ${phi}: found in ${String(found)} of ${String(runsPerCell)}; the fixed-size test takes ${String(fixed * callsPerWindow)} calls per arm, ours × ${quantile(own, 0.5).toFixed(2)} (median), × ${quantile(own, 0.99).toFixed(2)} (99th percentile)`,
    );
  }
  return {
    runs: all,
    power: share(all, ({ winner }) => winner?.outcome === "worse"),
    sampleSize: {
      maxCallsPerArm: windows * Math.max(...cells.map(({ callsPerWindow }) => callsPerWindow)),
      median: quantile(ratios, 0.5),
      p99: quantile(ratios, 0.99),
    },
  };
};

const beforeAfter = (runs: number, seed: number): void => {
  for (const factor of [1, 0.9, 0.5, 0.2]) {
    for (const phi of phis) {
      for (const before of [8, 20]) {
        for (const noise of [0.15, 0.4]) {
          const scenario: Scenario = { phi, noise, before, after: factor === 1 ? 60 : 20, factor };
          const rates = measure(scenario, runs, seed);
          const blocks = rates.blocks === null ? "" : `, after ${rates.blocks.toFixed(1)} blocks`;
          print(
            `before and after, time × ${factor}, φ ${phi}, noise ${noise}, ${before} blocks before, up to ${scenario.after} after: ` +
              `winner ${(100 * rates.winners).toFixed(1)} % (at most ${(100 * atMost(Math.round(rates.winners * runs), runs)).toFixed(1)}), equivalent ${(100 * rates.equivalent).toFixed(1)} %${blocks}`,
          );
        }
      }
    }
  }
};

const main = async (): Promise<void> => {
  const { values } = parseArgs({
    options: {
      runs: { type: "string", default: "2000" },
      replays: { type: "string", default: "400" },
      power: { type: "string", default: "1350" },
      levels: { type: "string", default: "300" },
      seconds: { type: "string", default: "30" },
      seed: { type: "string", default: "1" },
    },
  });
  const [runs, replays, power, levels, seconds, seed] = [
    values.runs,
    values.replays,
    values.power,
    values.levels,
    values.seconds,
    values.seed,
  ].map(Number) as [number, number, number, number, number, number];
  const trace = await recordTrace(seconds, seed);
  const cells = phis.flatMap((phi): readonly Cell[] =>
    ["point", "range", "update"].map((statement) => {
      const latencies = latencyOfNormal(trace.filter((call) => call.statement === statement).map(({ ms }) => ms));
      return { statement, phi, latencies, callsPerWindow: callsForDeviation(phi, latencies, windowDeviation, seed) };
    }),
  );
  const maxCallsPerArm = windows * Math.max(...cells.map(({ callsPerWindow }) => callsPerWindow));
  print(
    `recorded ${String(trace.length)} calls in ${String(seconds)} s; at most ${String(maxCallsPerArm)} calls per arm`,
  );

  const aa: ArmsRun[] = [];
  for (const [i, { statement, phi, latencies, callsPerWindow }] of cells.entries()) {
    const own = Math.ceil((runs - aa.length) / (cells.length - i));
    const mine = Array.from({ length: own }, (_, run) => {
      const { control, treatment } = simulateArms(
        { phi, latencies, windows, callsPerWindow, factor: 1 },
        seed * 1_000_003 + run,
      );
      return lookAtAll(control, treatment, 0);
    });
    aa.push(...mine);
    print(
      `no effect in ${statement}, φ ${phi}, ${String(callsPerWindow)} calls per window and arm: a winner in ${String(mine.filter(({ winner }) => winner !== null).length)} of ${String(own)}`,
    );
  }
  const winners = aa.filter(({ winner }) => winner !== null).length;

  const random = seededRandom(seed);
  const replayed = Array.from({ length: replays }, () => {
    const { control, treatment } = replayArms(trace, 200, random);
    return lookAtAll(control, treatment, 0);
  });
  const replayWinners = replayed.filter(({ winner }) => winner !== null).length;
  print(
    `no effect, the recorded trace replayed: a winner in ${String(replayWinners)} of ${String(replays)}, at most ${(100 * atMost(replayWinners, replays)).toFixed(1)} % (95 %)`,
  );

  const runsPerCell = Math.ceil(power / cells.length);
  const large = plant(cells, { factor: 1.5, windows: windowsForLarge, runsPerCell }, seed);
  const small = plant(cells, { factor: 1.1, windows, runsPerCell }, seed + 1);
  beforeAfter(levels, seed);
  print(
    JSON.stringify({
      aa: { runs: aa.length, winners },
      power50: large.power,
      power10: small.power,
      coverage: share([...aa, ...large.runs, ...small.runs], ({ covered }) => covered),
      replays: { runs: replays, winners: replayWinners, atMost: atMost(replayWinners, replays) },
      sampleSize: { "50": large.sampleSize, "10": small.sampleSize },
    }),
  );
};

if (import.meta.filename === process.argv[1]) await main();
