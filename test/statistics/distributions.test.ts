import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  logGamma,
  normalQuantile,
  regularizedIncompleteBeta,
  studentCdf,
  studentQuantile,
  studentTwoSided,
} from "../../src/statistics/index.ts";

const close = (actual: number, expected: number, relative = 1e-11): void => {
  expect(Math.abs(actual - expected)).toBeLessThanOrEqual(relative * Math.max(Math.abs(expected), 1e-300) + 1e-15);
};

// Golden values: R's qnorm, qt, pt, pbeta, lgamma, which SciPy gives alike; t's 97.5 % points are those of any printed table.
describe("distributions", () => {
  it.each([
    [0.5, 0],
    [0.9, 1.2815515655446004],
    [0.975, 1.959963984540054],
    [0.001, -3.090232306167813],
    [1e-10, -6.361340902404056],
  ])("the normal quantile of %d is %d", (p, expected) => close(normalQuantile(p), expected));

  it.each([
    [0.975, 1, 12.706204736174694],
    [0.975, 10, 2.228138851986274],
    [0.995, 4.5, 4.272823993011293],
    [0.9999, 3, 22.203742273205],
    [0.975, 0.5, 164.55767348048818],
    [0.6, 30, 0.2556053649519128],
  ])("Student's quantile of %d with %d degrees of freedom is %d", (p, df, expected) =>
    close(studentQuantile(p, df), expected),
  );

  it.each([
    [2, 5, 0.9490302605850708],
    [-1.5, 2.5, 0.12391822654314809],
    [0, 3, 0.5],
    [30, 1.2, 0.9943459682296615],
    [0.1, 100, 0.5397277344520743],
  ])("Student's distribution at %d with %d degrees of freedom is %d", (t, df, expected) =>
    close(studentCdf(t, df), expected),
  );

  it.each([
    [0.3, 2, 3, 0.3483],
    [0.9, 0.5, 0.5, 0.7951672353008665],
    [0.01, 10, 0.25, 4.8920360262751995e-22],
    [0.5, 50, 60, 0.8309072939016693],
  ])("the incomplete beta function at %d with %d and %d is %d", (x, a, b, expected) =>
    close(regularizedIncompleteBeta(x, a, b), expected),
  );

  it.each([
    [0.1, 2.252712651734206],
    [0.5, 0.5723649429247],
    [3.7, 1.428072326665388],
    [100, 359.1342053695754],
  ])("ln Γ(%d) is %d", (x, expected) => close(logGamma(x), expected, 1e-13));

  it("Student's quantile undoes Student's distribution", () => {
    fc.assert(
      fc.property(
        fc.double({ min: 1e-6, max: 0.49, noNaN: true }),
        fc.double({ min: 0.3, max: 200, noNaN: true }),
        (p, df) => {
          const t = studentQuantile(1 - p, df);
          expect(studentTwoSided(t, df) / 2 / p).toBeCloseTo(1, 6);
          expect(studentQuantile(p, df)).toBeCloseTo(-t, 6 - Math.max(0, Math.ceil(Math.log10(t))));
        },
      ),
    );
  });
});
