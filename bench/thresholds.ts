/**
 * Does a limit that follows its own history stay sound for a year? `npm run bench:thresholds [-- --seed 1]`
 *
 * Feeds the adaptive threshold with a simulated year of load, a look every five minutes: days and nights, weekends, noise, and one spike of three
 * hours. What is above the limit is held back; the threshold is told the demand. For contrast, the same year with a threshold that is told
 * only what it let pass. Prints the limit week by week and one line of JSON.
 */
import { parseArgs } from "node:util";
import { seededRandom } from "../src/runtime/index.ts";
import {
  defaultLimits,
  emptyThreshold,
  getAdaptiveThreshold,
  loadLimits,
  updateAdaptiveThreshold,
} from "../src/safeguards/index.ts";

const { values } = parseArgs({ options: { seed: { type: "string", default: "1" } } });
const STEPS_PER_DAY = 288;
const DAYS = 364;
const SPIKE_DAY = 200;
const start = Date.parse("2026-01-05T00:00:00Z");

/** Active sessions per core, step after step. The noise is log-normal with σ = 0.25 (twelve uniform numbers stand for a normal one). */
const random = seededRandom(Number(values.seed));
const demand = Array.from({ length: DAYS * STEPS_PER_DAY }, (_, step) => {
  const day = Math.floor(step / STEPS_PER_DAY);
  const hour = ((step % STEPS_PER_DAY) / STEPS_PER_DAY) * 24;
  const rhythm = 0.4 + 2.4 * Math.max(0, Math.sin(((hour - 6) / 14) * Math.PI));
  const weekend = day % 7 >= 5 ? 0.4 : 1;
  const normal = Array.from({ length: 12 }, random).reduce((sum, one) => sum + one, -6);
  const spike = day === SPIKE_DAY && hour >= 10 && hour < 13 ? 5 : 1;
  return rhythm * weekend * Math.exp(0.25 * normal) * spike;
});
const inSpike = (step: number): boolean => {
  const hour = ((step % STEPS_PER_DAY) / STEPS_PER_DAY) * 24;
  return Math.floor(step / STEPS_PER_DAY) === SPIKE_DAY && hour >= 10 && hour < 13;
};

interface Year {
  /** The limit at the end of each week. */
  readonly weekly: readonly number[];
  readonly lowest: number;
  readonly highest: number;
  /** Changes between holding and not. */
  readonly switches: number;
  /** The same if one limit both stopped and resumed. */
  readonly switchesWithoutHysteresis: number;
  /** Share of the spike that was held back. */
  readonly spikeHeld: number;
  readonly held: number;
}

const live = (limits: ReturnType<typeof loadLimits>, told: "demand" | "allowed"): Year => {
  let threshold = emptyThreshold;
  let limit = limits.ceiling;
  const weekly: number[] = [];
  let [lowest, highest, switches, plain, held, spikeHeld, spikeSteps] = [Number.POSITIVE_INFINITY, 0, 0, 0, 0, 0, 0];
  let above = false;
  for (const [step, wanted] of demand.entries()) {
    const passed = told === "allowed" ? Math.min(wanted, limit) : wanted;
    const next = updateAdaptiveThreshold(threshold, passed, new Date(start + step * 300_000), limits);
    if (next.holding !== threshold.holding) switches += 1;
    if (wanted > limit !== above) plain += 1;
    above = wanted > limit;
    threshold = next;
    limit = getAdaptiveThreshold(threshold, limits).stopAbove;
    lowest = Math.min(lowest, limit);
    highest = Math.max(highest, limit);
    if (threshold.holding) held += 1;
    if (inSpike(step)) {
      spikeSteps += 1;
      if (threshold.holding) spikeHeld += 1;
    }
    if ((step + 1) % (7 * STEPS_PER_DAY) === 0) weekly.push(limit);
  }
  return {
    weekly,
    lowest,
    highest,
    switches,
    switchesWithoutHysteresis: plain,
    spikeHeld: spikeHeld / spikeSteps,
    held: held / demand.length,
  };
};

const usual = loadLimits(defaultLimits);
// Without headroom every twentieth demand is held back: the hardest case for a limit that would learn from what it let pass.
const tight = { floor: 0.5, ceiling: 8, headroom: 1 };
const withDefaults = live(usual, "demand");
const byDemand = live(tight, "demand");
const byAllowed = live(tight, "allowed");

const bar = (value: number): string => "█".repeat(Math.round(value * 6));
const figure = (title: string, year: Year): void => {
  process.stdout.write(`\n${title}\n`);
  for (let week = 0; week < year.weekly.length; week += 4) {
    const limit = year.weekly[week] ?? 0;
    process.stdout.write(`  week ${String(week + 1).padStart(2)}  ${limit.toFixed(2).padStart(5)}  ${bar(limit)}\n`);
  }
};
process.stdout.write(
  `Limit in active sessions per core over a year; a spike of five times the load on day ${String(SPIKE_DAY + 1)}\n`,
);
figure(
  `As delivered (floor ${String(usual.floor)}, ceiling ${String(usual.ceiling)}, headroom ${String(usual.headroom)}), told the demand`,
  withDefaults,
);
figure("No headroom, told the demand: follows it, and stays", byDemand);
figure("No headroom, told only what it let pass: each limit makes the next one lower", byAllowed);

const round = (value: number): number => Number(value.toFixed(3));
const { lowest, highest, switches, switchesWithoutHysteresis, spikeHeld, held } = withDefaults;
process.stdout.write(
  `\n${JSON.stringify({
    floor: usual.floor,
    ceiling: usual.ceiling,
    lowest: round(lowest),
    highest: round(highest),
    firstWeek: round(withDefaults.weekly[0] ?? 0),
    lastWeek: round(withDefaults.weekly.at(-1) ?? 0),
    lastWeekWithoutHeadroom: round(byDemand.weekly.at(-1) ?? 0),
    lastWeekToldOnlyAllowed: round(byAllowed.weekly.at(-1) ?? 0),
    spikeHeld: round(spikeHeld),
    held: round(held),
    switches,
    switchesWithoutHysteresis,
    switchesWithoutHeadroom: byDemand.switches,
    switchesWithoutHeadroomOrHysteresis: byDemand.switchesWithoutHysteresis,
  })}\n`,
);
