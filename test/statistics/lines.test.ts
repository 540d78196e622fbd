import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { seededRandom } from "../../src/runtime/index.ts";
import {
  leastSquares,
  type Point,
  predictLeastSquares,
  predictWanderingLine,
  theilSen,
} from "../../src/statistics/index.ts";

const points = (ys: readonly number[]): Point[] => ys.map((y, i) => ({ x: i + 1, y }));
const known = points([2.1, 3.9, 6.2, 7.8, 10.1, 12.2]);

describe("the least-squares line", () => {
  test("and its interval for a new observation are the textbook's", () => {
    expect(leastSquares(known)?.slope).toBeCloseTo(2.02, 6);
    const made = predictLeastSquares(known, 8, 0.95);
    expect(made?.value).toBeCloseTo(16.14, 6);
    // t(0.975, 4) = 2.776445; s² (1 + 1/6 + 4.5² / 17.5)
    expect((made?.high ?? 0) - (made?.value ?? 0)).toBeCloseTo(0.7571193, 5);
  });

  test("needs two places, and three points for an interval", () => {
    expect(leastSquares([{ x: 1, y: 1 }])).toBeNull();
    expect(predictLeastSquares(points([1, 2]), 3, 0.95)).toBeNull();
  });
});

describe("the line of Theil and Sen", () => {
  test("is not moved by a quarter of wild points, which move least squares", () => {
    const wild = points([1, 2, 3, 90, 5, 6, 7, 95]);
    expect(theilSen(wild)?.slope).toBeCloseTo(1, 6);
    expect(leastSquares(wild)?.slope).toBeGreaterThan(4);
  });
});

describe("the wandering line", () => {
  test("goes on along a straight line, with an interval that widens with the distance and the noise", () => {
    const random = seededRandom(1);
    const noisy = (noise: number): Point[] =>
      points(Array.from({ length: 20 }, (_, i) => i * 0.01 + noise * (random() - 0.5)));
    const [near, far] = predictWanderingLine(noisy(0.004), [21, 27], 0.95);
    const [, farther] = predictWanderingLine(noisy(0.04), [21, 27], 0.95);
    expect(far?.value).toBeCloseTo(0.26, 1);
    const width = (one: typeof far): number => (one?.high ?? 0) - (one?.low ?? 0);
    expect(width(far)).toBeGreaterThan(width(near));
    expect(width(farther)).toBeGreaterThan(2 * width(far));
  });

  test("covers what comes nearly as often as it says, for lines and for random walks", () => {
    const random = seededRandom(2);
    for (const wander of [0, 1]) {
      let covered = 0;
      const runs = 200;
      for (let i = 0; i < runs; i += 1) {
        let level = 0;
        const series = Array.from({ length: 22 }, () => {
          level += 0.5 + wander * (random() + random() + random() - 1.5);
          return level + random() + random() - 1;
        });
        const [one] = predictWanderingLine(points(series.slice(0, 15)), [22], 0.95);
        const came = series[21] ?? 0;
        if (one !== undefined && came >= one.low && came <= one.high) covered += 1;
      }
      expect(covered / runs).toBeGreaterThan(0.86);
    }
  });

  test("shifts with its values and scales with them", () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 8, maxLength: 12 }),
        fc.double({ min: -5, max: 5, noNaN: true }),
        (ys, shift) => {
          const [one] = predictWanderingLine(points(ys), [20], 0.9);
          const [moved] = predictWanderingLine(points(ys.map((y) => y + shift)), [20], 0.9);
          expect((moved?.value ?? 0) - (one?.value ?? 0)).toBeCloseTo(shift, 4);
          expect((one?.low ?? 1) <= (one?.value ?? 0) && (one?.value ?? 0) <= (one?.high ?? 0)).toBe(true);
        },
      ),
      { numRuns: 20 },
    );
  });
});
