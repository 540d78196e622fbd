import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { AdaptiveThreshold } from "../../src/domain/index.ts";
import { emptyThreshold, getAdaptiveThreshold, updateAdaptiveThreshold } from "../../src/safeguards/index.ts";

const limits = { floor: 2, ceiling: 8, headroom: 1.5 };
const start = Date.parse("2026-01-02T12:00:00Z");
/** One sample after another, each in a time of its own. */
const fed = (demands: readonly number[], from: AdaptiveThreshold = emptyThreshold): AdaptiveThreshold =>
  demands.reduce(
    (threshold, demand, i) =>
      updateAdaptiveThreshold(
        threshold,
        demand,
        new Date((from.sampledAt?.getTime() ?? start) + (i + 1) * 86_400),
        limits,
      ),
    from,
  );
const demands = fc.array(fc.double({ min: 0, max: 50, noNaN: true }), { minLength: 1, maxLength: 300 });

describe("an adaptive threshold", () => {
  test("is the 95th percentile of what was asked for, times its headroom", () => {
    const threshold = fed(Array.from({ length: 100 }, (_, i) => (i + 1) / 25));
    expect(getAdaptiveThreshold(threshold, limits)).toEqual({
      p95: 3.8,
      stopAbove: 3.8 * 1.5,
      resumeBelow: 3.8 * 1.5 * 0.8,
    });
  });

  test("never leaves floor and ceiling", () => {
    fc.assert(
      fc.property(demands, (sequence) => {
        const { stopAbove } = getAdaptiveThreshold(fed(sequence), limits);
        expect(stopAbove).toBeGreaterThanOrEqual(limits.floor);
        expect(stopAbove).toBeLessThanOrEqual(limits.ceiling);
      }),
    );
  });

  test("forgets what is older than a thousand samples", () => {
    const quiet = fed(
      Array.from({ length: 1000 }, () => 1),
      fed(Array.from({ length: 500 }, () => 5)),
    );
    expect(quiet.samples).toHaveLength(1000);
    expect(getAdaptiveThreshold(quiet, limits).p95).toBe(1);
  });

  test("knows no difference between demand that was allowed and demand that was held back, so that it cannot lower itself", () => {
    fc.assert(
      fc.property(demands, (sequence) => {
        let limited = emptyThreshold;
        for (const [i, demand] of sequence.entries()) {
          const allowed = limited.holding ? Math.min(demand, 1) : demand;
          const rejected = demand - allowed;
          limited = updateAdaptiveThreshold(limited, allowed + rejected, new Date(start + (i + 1) * 86_400), limits);
        }
        const close = limited.samples.map(
          (sample, i) => Math.abs(sample - (fed(sequence).samples[i] ?? Number.NaN)) < 1e-9,
        );
        expect(close.every(Boolean)).toBe(true);
      }),
    );
  });

  test("holds back above the limit, and goes on only when demand has fallen a fifth below it", () => {
    const usual = fed(Array.from({ length: 1000 }, () => 2));
    expect(getAdaptiveThreshold(usual, limits)).toMatchObject({ stopAbove: 3, resumeBelow: expect.closeTo(2.4) });
    const course = [2.9, 3, 3.1, 2.9, 2.5, 2.45, 2.3, 2.9, 3.1];
    let threshold = usual;
    const holding = course.map((demand) => {
      threshold = fed([demand], threshold);
      return threshold.holding;
    });
    expect(holding).toEqual([false, false, true, true, true, true, false, false, true]);
  });

  test("takes the highest of looks that come faster than samples", () => {
    const quick = [1, 7, 2].reduce(
      (threshold, demand, i) => updateAdaptiveThreshold(threshold, demand, new Date(start + i * 1000), limits),
      emptyThreshold,
    );
    expect(quick).toMatchObject({ samples: [7], sampledAt: new Date(start) });
  });
});
