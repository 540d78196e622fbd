import { describe, expect, it } from "vitest";
import { measure } from "../../bench/verdicts.ts";

/** The largest count whose probability under the promised rate is still above 1 %: a run beyond it refutes the promise. */
const allowed = (runs: number, rate: number): number => {
  let probability = (1 - rate) ** runs;
  let cumulative = probability;
  let count = 0;
  while (1 - cumulative > 0.01) {
    count += 1;
    probability *= (((runs - count + 1) / count) * rate) / (1 - rate);
    cumulative += probability;
  }
  return count;
};

describe("verdicts on synthetic traffic with rare disasters and wandering levels", () => {
  const runs = 150;

  it.each([
    { phi: 0.0, before: 8, noise: 0.15 },
    { phi: 0.5, before: 8, noise: 0.4 },
    { phi: 0.8, before: 8, noise: 0.4 },
    { phi: 0.8, before: 20, noise: 0.15 },
    { phi: 0.8, before: 20, noise: 0.4 },
  ])(
    "name a winner in at most 5 % when nothing changed, looking after every block (φ $phi, noise $noise, $before blocks before)",
    (scenario) => {
      const { winners } = measure({ ...scenario, after: 30, factor: 1 }, runs);
      expect(winners * runs).toBeLessThanOrEqual(allowed(runs, 0.05));
    },
  );

  it("hardly ever err in the direction of a change that is there", () => {
    const scenario = { phi: 0.8, noise: 0.4, before: 20, after: 20, factor: 0.5 };
    expect(measure(scenario, runs).worse * runs).toBeLessThanOrEqual(allowed(runs, 0.025));
  });

  it.each([
    { phi: 0.0, before: 12, factor: 0.5, power: 0.75 },
    { phi: 0.0, before: 20, factor: 0.5, power: 0.88 },
    { phi: 0.0, before: 6, factor: 0.01, power: 0.8 },
    { phi: 0.5, before: 20, factor: 0.5, power: 0.75 },
    { phi: 0.0, before: 8, factor: 0.2, power: 0.9 },
    { phi: 0.8, before: 20, factor: 0.2, power: 0.95 },
  ])("find time × $factor with $before blocks before and at most 20 after (φ $phi)", ({ power, ...scenario }) => {
    const { winners } = measure({ ...scenario, noise: 0.15, after: 20 }, runs);
    expect(winners).toBeGreaterThan(power);
  });
});
