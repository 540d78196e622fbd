import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { seededRandom } from "../../src/runtime/index.ts";
import {
  effectiveSize,
  holmLevels,
  lagOneAutocorrelation,
  normalQuantile,
  pairedDifference,
  ratioInfluence,
  difference,
} from "../../src/statistics/index.ts";

const autoregressive = (random: () => number, n: number, phi: number): number[] => {
  const values: number[] = [];
  let state = normalQuantile(Math.max(1e-12, random()));
  for (let i = 0; i < n; i += 1) {
    values.push(state);
    state = phi * state + Math.sqrt(1 - phi * phi) * normalQuantile(Math.max(1e-12, random()));
  }
  return values;
};

describe("arms side by side", () => {
  const influence = Array.from({ length: 20 }, (_, i) => Math.sin(i * i));

  it("are known from no more blocks than have a part in the noise", () => {
    const phi = lagOneAutocorrelation([influence], { phi: 0.2, blocks: 10 });
    // 1 + (8 + 2)² / (8² / 4 + 2² / 14), after Satterthwaite.
    const worth = (effectiveSize(20, phi) * 7.14035087719298) / 20;
    const square = influence.reduce((sum, value) => sum + value * value, 0) / 20;
    const parts = [
      { square: 8, blocks: 5 },
      { square: 2, blocks: 15 },
    ];
    const found = pairedDifference(0.1, influence, 0, parts);
    expect(found?.degreesOfFreedom).toBeCloseTo(worth - 1, 10);
    expect(found?.standardError).toBeCloseTo(Math.sqrt(((square / effectiveSize(20, phi)) * worth) / (worth - 1)), 10);
  });

  it("are known from all blocks where each has its part", () => {
    const parts = [
      { square: 5, blocks: 20 },
      { square: 5, blocks: 20 },
    ];
    const [all, parted] = [pairedDifference(0.1, influence), pairedDifference(0.1, influence, 0, parts)];
    expect(parted?.degreesOfFreedom).toBe(all?.degreesOfFreedom);
    expect(parted?.standardError).toBeCloseTo(all?.standardError ?? 0, 12);
  });
});

describe("an estimate that may be off by more than noise", () => {
  const first = Array.from({ length: 30 }, (_, i) => Math.sin(i * i));
  const estimate = difference(1, first, first.toReversed());

  it.each([0, 0.2, 0.5])("by %d has the p-value at which its interval reaches zero", (by) => {
    const found = estimate?.allowing(by);
    const p = found?.anytimePValue ?? 1;
    expect(p).toBeLessThan(1);
    expect(found?.anytimeInterval(1 - p).low).toBeCloseTo(0, 9);
    expect(found?.interval(1 - found.pValue).low).toBeCloseTo(0, 9);
  });

  it("shows nothing where zero is within what is allowed for", () => {
    expect(estimate?.allowing(1.1)).toMatchObject({ pValue: 1, anytimePValue: 1 });
    expect(estimate?.allowing(1.1).anytimeInterval(0.95).low).toBeLessThan(-0.1);
  });

  it("adds up what is allowed for", () => {
    expect(estimate?.allowing(0.2).allowing(0.3).anytimePValue).toBe(estimate?.allowing(0.5).anytimePValue);
  });
});

describe("Holm's procedure", () => {
  it("tests the smallest p-value at alpha/m and stops raising the level at the first that fails", () => {
    // Holm (1979): 0.005 ≤ .05/4, 0.01 ≤ .05/3, 0.03 > .05/2, so 0.04 fails as well.
    expect(holmLevels([0.01, 0.04, 0.03, 0.005], 0.05)).toEqual([0.05 / 3, 0.05 / 2, 0.05 / 2, 0.05 / 4]);
  });

  it("rejects whatever Bonferroni rejects, and nothing above alpha", () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 1, maxLength: 12 }), (pValues) => {
        const levels = holmLevels(pValues, 0.05);
        for (const [i, p] of pValues.entries()) {
          const level = levels[i] ?? 0;
          expect(level).toBeGreaterThanOrEqual(0.05 / pValues.length - 1e-15);
          expect(level).toBeLessThanOrEqual(0.05);
          if (p <= 0.05 / pValues.length) expect(p).toBeLessThanOrEqual(level);
        }
      }),
    );
  });
});

describe("autocorrelated blocks", () => {
  const prior = { phi: 0.5, blocks: 16 };

  it("are worth as many independent ones as their covariances say", () => {
    for (const [n, phi] of [
      [5, 0.3],
      [12, 0.8],
      [60, 0.95],
    ] as const) {
      let covariances = 0;
      for (let i = 0; i < n; i += 1) for (let j = 0; j < n; j += 1) covariances += phi ** Math.abs(i - j);
      expect(effectiveSize(n, phi)).toBeCloseTo((n * n) / covariances, 9);
    }
    expect(effectiveSize(20, 0)).toBe(20);
  });

  it.each([0, 0.5, 0.8])("show their φ = %d in two long series", (phi) => {
    const random = seededRandom(7);
    const estimate = lagOneAutocorrelation(
      [autoregressive(random, 3000, phi), autoregressive(random, 3000, phi)],
      prior,
    );
    expect(Math.abs(estimate - phi)).toBeLessThan(0.05);
  });

  it("do not hide behind a single outlier", () => {
    const series = autoregressive(seededRandom(8), 200, 0.8);
    series[100] = 1000;
    expect(lagOneAutocorrelation([series], prior)).toBeGreaterThan(0.6);
  });

  it("say nothing when there are hardly any", () => {
    expect(
      lagOneAutocorrelation(
        [
          [1, 2, 3],
          [3, 1, 2],
        ],
        prior,
      ),
    ).toBeGreaterThan(0.9);
    expect(difference(1, [0.1, -0.1], [0.1, -0.1])).toBeNull();
  });
});

describe("a ratio of means", () => {
  it("has the standard error of Cochran's textbook formula", () => {
    const blocks = [
      { y: 10, x: 4 },
      { y: 14, x: 5 },
      { y: 9, x: 5 },
      { y: 21, x: 8 },
    ];
    const result = ratioInfluence(blocks);
    expect(result?.ratio).toBeCloseTo(54 / 22, 12);
    const mean = (result?.influence ?? []).reduce((a, b) => a + b, 0);
    expect(mean).toBeCloseTo(0, 12);
    // (yᵢ − R xᵢ) / (R x̄) with R = 54/22, R x̄ = 13.5
    expect(result?.influence[0]).toBeCloseTo((10 - (54 / 22) * 4) / 13.5, 12);
  });

  it("is nothing without calls or time", () => {
    expect(ratioInfluence([])).toBeNull();
    expect(ratioInfluence([{ y: 0, x: 3 }])).toBeNull();
    expect(ratioInfluence([{ y: 1, x: 0 }])).toBeNull();
  });
});

describe("the interval of a difference", () => {
  // At φ = 0.8 a dozen blocks are worth two independent ones; what is missing there, the sequential test more than makes up for.
  it.each([
    [0, 0.95],
    [0.5, 0.945],
    [0.8, 0.89],
  ])("covers the truth in short series with φ = %d at least as often as %d", (phi, least) => {
    const random = seededRandom(11);
    let covered = 0;
    const runs = 1000;
    for (let run = 0; run < runs; run += 1) {
      const [first, second] = [12, 16].map((n) => autoregressive(random, n, phi));
      if (first === undefined || second === undefined) throw new Error("two series");
      const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;
      const [m1, m2] = [mean(first), mean(second)];
      const estimate = difference(
        m2 - m1,
        first.map((x) => x - m1),
        second.map((x) => x - m2),
      );
      const interval = estimate?.interval(0.95) ?? { low: -Infinity, high: Infinity };
      if (interval.low <= 0 && 0 <= interval.high) covered += 1;
    }
    expect(covered / runs).toBeGreaterThan(least);
  });

  it("excludes zero exactly when the p-value is below the level", () => {
    const spread = [0.05, -0.04, 0.02, -0.03, 0.01, -0.02, 0.03, -0.02];
    fc.assert(
      fc.property(
        fc.double({ min: -0.5, max: 0.5, noNaN: true }),
        fc.double({ min: 0.5, max: 0.999, noNaN: true }),
        (value, level) => {
          const estimate = difference(value, spread, spread.toReversed());
          if (estimate === null) throw new Error("eight blocks are enough");
          fc.pre(Math.abs(estimate.pValue - (1 - level)) > 1e-9);
          const { low, high } = estimate.interval(level);
          expect(low > 0 || high < 0).toBe(estimate.pValue < 1 - level);
        },
      ),
    );
  });
});
