import { describe, expect, it } from "vitest";
import { seededRandom } from "../../src/runtime/index.ts";
import { normalQuantile, rateDifference, sampleRatioPValue, sequentialQuantile } from "../../src/statistics/index.ts";
import { anyEffect, anytimeQuantile, logEValue } from "../../src/statistics/anytime.ts";
import { bucketOf } from "../../src/statistics/latency-histogram.ts";
import { logNonInferiorityEValue } from "../../src/statistics/rate-difference.ts";

describe("the sequential t-test", () => {
  // Bayes factors of 0.4, 1.1, −0.3, 0.9, 0.7, 1.6 against zero, by numerical integration over mean and scale (mpmath, 30 digits).
  it.each([
    [0.01, 0.66442387416],
    [1, 3.41489575881],
    [30, 1.25676766636],
  ])("has the Bayes factor of the data for a prior of precision %d", (precision, expected) => {
    expect(Math.exp(logEValue(2.776149558187878, 5, 6, [{ precision, weight: 1 }]))).toBeCloseTo(expected, 6);
  });

  it("averages e-values over its guesses of the effect's size", () => {
    const prior = [
      { precision: 1, weight: 0.7 },
      { precision: 30, weight: 0.3 },
    ];
    const average = 0.7 * 3.41489575881 + 0.3 * 1.25676766636;
    expect(Math.exp(logEValue(2.776149558187878, 5, 6, prior))).toBeCloseTo(average, 6);
  });

  // The same data and integration with each of the three guesses of arms side by side.
  it("has the Bayes factor of the data for effects of any size", () => {
    const average = 0.6 * 1.71454717853 + 0.3 * 3.41489575881 + 0.1 * 0.66442387416;
    expect(Math.exp(logEValue(2.776149558187878, 5, 6, anyEffect))).toBeCloseTo(average, 5);
  });

  it("excludes nothing while it is worth too few blocks, and later what lies beyond its quantile", () => {
    expect(anytimeQuantile(0.05, 0.5, 1.5, anyEffect)).toBe(Number.POSITIVE_INFINITY);
    const t = anytimeQuantile(0.05, 40, 41, anyEffect);
    expect(t).toBeGreaterThan(2.02);
    expect(logEValue(t, 40, 41, anyEffect)).toBeCloseTo(Math.log(20), 9);
  });

  it("never calls more than five in a hundred Gaussian series different from zero, looking after every block", () => {
    const random = seededRandom(3);
    const runs = 1000;
    let winners = 0;
    for (let run = 0; run < runs; run += 1) {
      let [sum, squares] = [0, 0];
      for (let n = 1; n <= 100; n += 1) {
        const value = 7 * normalQuantile(Math.max(1e-12, random()));
        sum += value;
        squares += value * value;
        if (n < 2) continue;
        const t = sum / n / Math.sqrt((squares - (sum * sum) / n) / (n - 1) / n);
        if (logEValue(t, n - 1, n, anyEffect) <= Math.log(20)) continue;
        winners += 1;
        break;
      }
    }
    expect(winners).toBeLessThanOrEqual(0.05 * runs);
    expect(winners).toBeGreaterThan(0);
  });
});

describe("the split's check", () => {
  // ln of the Beta mixture over the binomial, by numerical integration (mpmath, 30 digits).
  it.each([
    [[520, 480], 0.5, -0.4731252336708],
    [[120, 880], 0.1, 0.6403833034851],
    [[140, 860], 0.1, 6.001169378406],
    [[700, 9300], 0.1, 52.50818088982],
  ])("gives %j units at a share of %d their e-value", (counts, share, log) => {
    expect(Math.log(sampleRatioPValue(counts, [share, 1 - share]))).toBeCloseTo(Math.min(0, -log), 8);
  });

  it("finds that an arm which should get nothing got something", () => {
    expect(sampleRatioPValue([1, 99], [0, 1])).toBe(0);
    expect(sampleRatioPValue([0, 99], [0, 1])).toBe(1);
  });
});

describe("rates of failure", () => {
  // By an independent computation with 30 digits (mpmath).
  it.each([
    [20_000, 0, 0, 0.5, 0.001, 9.21404297628],
    [40_000, 0, 0, 0.1, 0.001, 3.35287394947],
    [20_000, 10, 12, 0.5, 0.001, 1.84347906558],
    [100_000, 500, 510, 0.5, 0.001, -1.14870092029],
    [20_000, 30, 2, 0.5, -0.0001, -3.76006727626],
  ])(
    "of %d units with %d and %d failures have their e-value",
    (units, treatment, control, treatmentShare, margin, log) => {
      expect(logNonInferiorityEValue({ units, treatment, control, treatmentShare }, margin)).toBeCloseTo(log, 8);
    },
  );

  it("without a failure anywhere are shown to differ by less than 0.1 points after some ten thousand units", () => {
    const none = { treatment: 0, control: 0, treatmentShare: 0.5 };
    expect(rateDifference({ ...none, units: 4000 }, 0.95).high).toBeGreaterThan(0.001);
    const { low, high } = rateDifference({ ...none, units: 10_000 }, 0.95);
    expect(high).toBeLessThan(0.001);
    expect(low).toBe(-high);
  });

  it("hold the true difference at all times in at least 95 of 100 runs, though failures come in bursts", () => {
    const random = seededRandom(5);
    const runs = 150;
    let held = 0;
    for (let run = 0; run < runs; run += 1) {
      const counts = { units: 0, treatment: 0, control: 0, treatmentShare: 0.3 };
      let burst = false;
      let always = true;
      for (let unit = 1; unit <= 4000; unit += 1) {
        burst = random() < (burst ? 0.97 : 0.003);
        const treated = random() < 0.3;
        const failed = random() < (burst ? 0.3 : 0.002) + (treated ? 0.01 : 0);
        counts.units += 1;
        if (failed && treated) counts.treatment += 1;
        if (failed && !treated) counts.control += 1;
        if (unit % 100 !== 0) continue;
        const { low, high } = rateDifference(counts, 0.95);
        always &&= low <= 0.01 && 0.01 <= high;
      }
      if (always) held += 1;
    }
    expect(held / runs).toBeGreaterThanOrEqual(0.95);
  });
});

describe("a quantile", () => {
  const blocksOf = (random: () => number, blocks: number, calls: number) =>
    Array.from({ length: blocks }, () => {
      const block = new Map<number, number>();
      for (let call = 0; call < calls; call += 1) {
        const bucket = bucketOf(10 * random());
        block.set(bucket, (block.get(bucket) ?? 0) + 1);
      }
      return block;
    });

  it("of times evenly spread up to ten milliseconds is where it should be", () => {
    const found = sequentialQuantile(blocksOf(seededRandom(1), 60, 200), 0.95, 0.95);
    expect(found?.estimate).toBeGreaterThanOrEqual(9.4);
    expect(found?.estimate).toBeLessThanOrEqual(10);
    expect(found?.low).toBeGreaterThan(8.5);
    expect(found?.low).toBeLessThan(9.5);
    expect(found?.high).toBeGreaterThanOrEqual(9.5);
  });

  it("is not known from thirty calls, for nothing says what the one in twenty takes that was not seen", () => {
    const calls = Array.from({ length: 30 }, (_, i) => new Map([[bucketOf(i % 2 === 0 ? 3 : 30), 1]]));
    expect(sequentialQuantile(calls, 0.95, 0.95)).toBeNull();
  });
});
