import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { shouldUseCanary } from "../../src/driver/index.ts";
import { firstRandom, seededRandom } from "../../src/runtime/index.ts";

describe("a draw", () => {
  it("is the first number of the generator with that seed", () => {
    fc.assert(
      fc.property(fc.integer({ min: -(2 ** 32), max: 2 ** 32 }), (seed) => firstRandom(seed) === seededRandom(seed)()),
    );
  });

  it("takes its share of the units, the same in every version and other ones in every experiment", () => {
    const drawn = (id: string): readonly number[] =>
      Array.from({ length: 10_000 }, (_, i) => i).filter((i) =>
        shouldUseCanary({ id, share: 0.1 }, `user ${String(i)}`),
      );
    const [one, two] = [drawn("e1"), drawn("e2")];
    expect(one.slice(0, 5)).toEqual([1, 29, 41, 42, 45]);
    expect(one.length).toBeGreaterThan(900);
    expect(one.length).toBeLessThan(1100);
    expect(one.filter((i) => two.includes(i)).length).toBeLessThan(200);
  });
});
