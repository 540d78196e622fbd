/** Simulated and replayed experiments with two arms, looked at after every window. */
import type { Block, StatementCounters } from "../../src/domain/index.ts";
import { type Random, seededRandom, seedFrom } from "../../src/runtime/index.ts";
import { normalQuantile, pairedDifference, ratioInfluence } from "../../src/statistics/index.ts";
import { type ArmEvidence, judgeArms, mergeBlocks, mostWindows } from "../../src/verification/index.ts";
import { block, counters } from "../../test/verification/traffic.ts";
import type { TracedCall } from "./trace.ts";

export interface ArmsRun {
  /** After how many windows the verdict first named a winner; null where none did. */
  readonly winner: { readonly window: number; readonly outcome: "better" | "worse" } | null;
  /** Whether every interval, at every look, held the truth. */
  readonly covered: boolean;
  /** p-value of the fixed-size test of the same estimate, by the number of windows; not before the fifth. */
  readonly fixedPValues: ReadonlyMap<number, number>;
}

const alpha = 0.05;
const fewest = 5;

/** As the driver hook sees them: no pages. */
const timed = (calls: number, ms: number): StatementCounters => ({ ...counters(calls, ms), sharedBlocksHit: 0 });

const armOf = (blocks: readonly Block[]): ArmEvidence => ({ blocks, units: null, latencies: null });

/** Looks after every window, on and on after the first winner: coverage is asked of all looks. Merges as the verdict would, only once. */
export const lookAtAll = (
  allControl: readonly Block[],
  allTreatment: readonly Block[],
  truth: number,
  withFixed = false,
): ArmsRun => {
  let winner: ArmsRun["winner"] = null;
  let covered = true;
  const fixedPValues = new Map<number, number>();
  let [control, treatment, by] = [allControl, allTreatment, 1];
  for (let seen = 1; seen <= control.length; seen += 1) {
    const [one, two] = [control.slice(0, seen), treatment.slice(0, seen)];
    const { outcome, interval } = judgeArms({
      control: armOf(one),
      treatment: armOf(two),
      treatmentShare: 0.5,
      metric: "mean",
      alpha,
      margin: 0.05,
    });
    if (interval !== null) covered &&= interval.low <= truth && truth <= interval.high;
    if (outcome === "better" || outcome === "worse") winner ??= { window: seen * by, outcome };
    if (withFixed && seen >= fewest) fixedPValues.set(seen * by, fixedPValue(one, two));
    if (!withFixed && winner !== null && !covered) break;
    if (seen < mostWindows) continue;
    control = mergeBlocks(control, 2);
    treatment = mergeBlocks(treatment, 2);
    by *= 2;
    seen /= 2;
  }
  return { winner, covered, fixedPValues };
};

const totals = (blocks: readonly Block[]) =>
  blocks.map((one) => {
    const of = one.statements.get("read");
    return { y: of?.totalMs ?? 0, x: of?.calls ?? 0 };
  });

/** The same estimate and standard error, tested once. */
const fixedPValue = (control: readonly Block[], treatment: readonly Block[]): number => {
  const [one, two] = [ratioInfluence(totals(control)), ratioInfluence(totals(treatment))];
  if (one === null || two === null) return 1;
  const paired = two.influence.map((value, i) => value - (one.influence[i] ?? 0));
  return pairedDifference(Math.log(two.ratio / one.ratio), paired)?.pValue ?? 1;
};

/** Normal numbers by table: an experiment takes a million of them. */
const normals = Float64Array.from({ length: 65_536 }, (_, i) => normalQuantile((i + 0.5) / 65_536));
const steps = 400;
const reach = 5;

/** Maps a standard normal number to the latency of the same rank among the recorded ones. */
export const latencyOfNormal = (recorded: readonly number[]): Float64Array => {
  const sorted = [...recorded].sort((a, b) => a - b);
  const table = new Float64Array(2 * reach * steps + 1);
  let rank = 0;
  for (const [i] of table.entries()) {
    const z = i / steps - reach;
    while (rank < sorted.length - 1 && normalQuantile((rank + 0.5) / sorted.length) < z) rank += 1;
    table[i] = sorted[rank] ?? 0;
  }
  return table;
};

export interface ArmsScenario {
  /** Of the calls of one arm, in ranks: a Gaussian AR(1) whose numbers are mapped to recorded latencies. */
  readonly phi: number;
  readonly latencies: Float64Array;
  readonly windows: number;
  readonly callsPerWindow: number;
  /** Of the treatment's times to the control's. */
  readonly factor: number;
}

/** Both arms have their own series of calls, and share a machine whose speed wanders from window to window (φ = 0.7, a fifth up or down). */
export const simulateArms = (scenario: ArmsScenario, seed: number): { control: Block[]; treatment: Block[] } => {
  const random = seededRandom(seed);
  const normal = (): number => normals[Math.floor(random() * 65_536)] ?? 0;
  const { phi, windows, callsPerWindow, factor, latencies } = scenario;
  const fresh = Math.sqrt(1 - phi * phi);
  let machine = normal();
  const speeds = Array.from({ length: windows }, () => {
    machine = 0.7 * machine + Math.sqrt(1 - 0.49) * normal();
    return Math.exp(0.2 * machine);
  });
  const arm = (scale: number): Block[] => {
    let z = normal();
    return speeds.map((speed) => {
      let total = 0;
      for (let call = 0; call < callsPerWindow; call += 1) {
        z = phi * z + fresh * normal();
        const i = Math.round((z + reach) * steps);
        total += latencies[i < 0 ? 0 : i >= latencies.length ? latencies.length - 1 : i] ?? 0;
      }
      return block({ read: timed(callsPerWindow, total * speed * scale) });
    });
  };
  return { control: arm(1), treatment: arm(factor) };
};

/**
 * A recorded trace played again as an experiment without an effect: from a random moment on, each transaction is drawn for an arm by a hash that is new in
 * each replay, and what it took goes to the window in which it began.
 */
export const replayArms = (
  trace: readonly TracedCall[],
  windowMs: number,
  random: Random,
): { control: Block[]; treatment: Block[] } => {
  const end = trace.at(-1)?.at ?? 0;
  const offset = random() * end;
  const salt = Math.floor(random() * 2 ** 31);
  const windows = Math.floor(end / windowMs);
  const sums = (): Map<string, { calls: number; ms: number }>[] =>
    Array.from({ length: windows }, () => new Map<string, { calls: number; ms: number }>());
  const arms = { control: sums(), treatment: sums() };
  for (const { unit, statement, at, ms } of trace) {
    const window = Math.floor(((at - offset + end) % end) / windowMs);
    const drawn = seededRandom(seedFrom(`${String(salt)} ${String(unit)}`))() < 0.5 ? arms.treatment : arms.control;
    const into = drawn[window];
    if (into === undefined) continue;
    const sum = into.get(statement) ?? { calls: 0, ms: 0 };
    into.set(statement, { calls: sum.calls + 1, ms: sum.ms + ms });
  }
  const blocksOf = (windowsOf: readonly Map<string, { calls: number; ms: number }>[]): Block[] =>
    windowsOf.map((of) => block(Object.fromEntries([...of].map(([id, { calls, ms }]) => [id, timed(calls, ms)]))));
  return { control: blocksOf(arms.control), treatment: blocksOf(arms.treatment) };
};

/** How many calls make the logarithm of a window's ratio vary by `deviation`, from windows of 200 calls. */
export const callsForDeviation = (phi: number, latencies: Float64Array, deviation: number, seed: number): number => {
  const { control, treatment } = simulateArms({ phi, latencies, windows: 400, callsPerWindow: 200, factor: 1 }, seed);
  const [one, two] = [ratioInfluence(totals(control)), ratioInfluence(totals(treatment))];
  const square =
    (two?.influence ?? []).reduce((sum, value, i) => sum + (value - (one?.influence[i] ?? 0)) ** 2, 0) / 400;
  return Math.max(10, Math.round((200 * square) / deviation ** 2));
};
