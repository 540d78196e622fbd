import fc from "fast-check";
import { expect, it } from "vitest";
import { workloadWeights } from "../../src/selection/index.ts";

it("the weight of a measured statement makes its present cost its measured time", () => {
  const measured = fc.record({
    calls: fc.integer({ min: 1, max: 1_000_000 }),
    totalMs: fc.double({ min: 0, max: 1e9, noNaN: true }),
    costBefore: fc.double({ min: 0.01, max: 1e9, noNaN: true }),
  });
  fc.assert(
    fc.property(fc.array(measured, { minLength: 1 }), (statements) => {
      const { unit, weights } = workloadWeights(statements);
      expect(unit).toBe("milliseconds");
      for (const [position, { totalMs, costBefore }] of statements.entries()) {
        expect((weights[position] ?? 0) * costBefore).toBeCloseTo(totalMs, 3);
      }
    }),
  );
});

it("statements that were not measured are weighted by their calls, and so are all beside them", () => {
  expect(
    workloadWeights([
      { calls: 3, totalMs: null, costBefore: 10 },
      { calls: 5, totalMs: 1_000, costBefore: 10 },
    ]),
  ).toEqual({ unit: "planner cost", weights: [3, 5] });
});

it("a statement without cost has no weight", () => {
  expect(workloadWeights([{ calls: 3, totalMs: 7, costBefore: 0 }]).weights).toEqual([0]);
});
