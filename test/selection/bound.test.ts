import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { HypotheticalIndex } from "../../src/domain/index.ts";
import type { Clock } from "../../src/runtime/index.ts";
import { selectConfiguration, type SelectionInput, type SelectionResult } from "../../src/selection/index.ts";
import { type Alternative, candidate, source } from "./source.ts";

const stopped: Clock = {
  now: () => new Date(0),
  monotonicMs: () => 0,
  sleep: () => Promise.resolve(),
  sleepUntil: () => Promise.resolve(),
};

interface Problem {
  readonly candidates: readonly HypotheticalIndex[];
  readonly statements: Readonly<Record<string, readonly Alternative[]>>;
  readonly budget: number;
}

const names = ["p", "q", "r", "s", "t", "u", "v", "w"];
const problems = fc
  .record({
    sizes: fc.array(fc.integer({ min: 1, max: 9 }), { minLength: names.length, maxLength: names.length }),
    plans: fc.array(
      fc.array(
        fc.record({ needs: fc.subarray(names, { minLength: 1, maxLength: 3 }), cost: fc.integer({ min: 1, max: 99 }) }),
        { maxLength: 10 },
      ),
      { minLength: 1, maxLength: 6 },
    ),
    budget: fc.integer({ min: 1, max: 30 }),
  })
  .map(({ sizes, plans, budget }): Problem => {
    const candidates = names.map((name, position) => candidate(name, sizes[position] ?? 1));
    const statements = Object.fromEntries(
      plans.map((some, position) => [
        `s${String(position)}`,
        [
          { needs: [], cost: 100 },
          ...some.map(({ needs, cost }) => ({ needs: candidates.filter((one) => needs.includes(one.planName)), cost })),
        ],
      ]),
    );
    return { candidates, statements, budget };
  });

const solve = (
  { candidates, statements, budget }: Problem,
  changes: Partial<SelectionInput> = {},
): Promise<SelectionResult> =>
  selectConfiguration({
    statements: Object.keys(statements).map((id) => ({ id, calls: 1, totalMs: null })),
    candidates,
    costs: source(statements),
    budgetBytes: budget,
    minimumGain: 0,
    minimumShare: 0,
    clock: stopped,
    ...changes,
  });

/** The least that any set of the candidates costs, by looking at all of them. */
const optimum = (
  { candidates, statements, budget }: Problem,
  isAllowed: (chosen: readonly HypotheticalIndex[]) => boolean = () => true,
) => {
  const costs = source(statements);
  let best = Number.POSITIVE_INFINITY;
  for (let set = 0; set < 2 ** candidates.length; set += 1) {
    const chosen = candidates.filter((_, position) => (set >> position) & 1);
    if (chosen.reduce((sum, one) => sum + one.estimatedBytes, 0) > budget || !isAllowed(chosen)) continue;
    const visible = new Set(chosen.map((one) => one.id));
    const cost = Object.keys(statements).reduce(
      (sum, statementId) => sum + costs.truth({ statementId, visible, hidden: new Set() }),
      0,
    );
    best = Math.min(best, cost);
  }
  return best;
};

describe("the bound", () => {
  it("is never above the optimum of all sets, asked about or not", async () => {
    await fc.assert(
      fc.asyncProperty(problems, async (problem) => {
        const { totals } = await solve(problem);
        const best = optimum(problem);
        expect(totals.bound).toBeLessThanOrEqual(best * (1 + 1e-6));
        expect(totals.costAfter).toBeGreaterThanOrEqual(best);
        expect(totals.costAfter * (1 - (totals.gap ?? 0))).toBeLessThanOrEqual(best * (1 + 1e-6));
        expect(totals.modelDeviation).toBe(0);
      }),
      { numRuns: 200 },
    );
  });

  it("is never above it either where the search is cut short, or nothing is known", async () => {
    await fc.assert(
      fc.asyncProperty(problems, fc.integer({ min: 0, max: 60 }), async (problem, maxWhatIfCalls) => {
        const { totals } = await solve(problem, { maxWhatIfCalls });
        expect(totals.bound).toBeLessThanOrEqual(optimum(problem) * (1 + 1e-6));
      }),
      { numRuns: 100 },
    );
  });

  it("is reached in nearly every small problem, so that the answer is proved to be the optimum", async () => {
    const gaps: number[] = [];
    await fc.assert(
      fc.asyncProperty(problems, async (problem) => {
        gaps.push((await solve(problem)).totals.gap ?? 1);
      }),
      { numRuns: 100, seed: 11 },
    );
    expect(gaps.filter((gap) => gap < 0.002).length).toBeGreaterThanOrEqual(90);
  });

  it("tells how far the planner's cost of the answer is from the model's", async () => {
    const [a, b] = [candidate("a", 1), candidate("b", 1)];
    const honest = source({
      s: [
        { needs: [], cost: 100 },
        { needs: [a], cost: 40 },
      ],
      t: [
        { needs: [], cost: 100 },
        { needs: [b], cost: 40 },
      ],
    });
    const erring = {
      ...honest,
      // With both there, the planner takes a plan that it thinks is dearer than the one it took before.
      costs: async (queries: Parameters<typeof honest.costs>[0], precision?: "derived" | "planned") =>
        (await honest.costs(queries)).map((answer) =>
          precision === "planned" && answer.kind === "costed" && answer.used.includes(a.id)
            ? { ...answer, cost: 50 }
            : answer,
        ),
    };
    const { totals } = await solve({ candidates: [a, b], statements: { s: [], t: [] }, budget: 10 }, { costs: erring });
    expect(totals.costAfter).toBe(90);
    expect(totals.modelDeviation).toBeCloseTo(10 / 90);
  });
});

describe("limits per table and schema", () => {
  it("hold, and the bound takes them into account", async () => {
    await fc.assert(
      fc.asyncProperty(problems, fc.integer({ min: 0, max: 4 }), async (problem, most) => {
        const { create, totals } = await solve(problem, { maxIndexesOn: () => most });
        expect(create.length).toBeLessThanOrEqual(most);
        const best = optimum(problem, (chosen) => chosen.length <= most);
        expect(totals.bound).toBeLessThanOrEqual(best * (1 + 1e-6));
        expect(totals.costAfter).toBeGreaterThanOrEqual(best);
      }),
      { numRuns: 100 },
    );
  });

  it.each(["maxBytesPerTable", "maxBytesPerSchema"])("hold in bytes: %s", async (limit) => {
    await fc.assert(
      fc.asyncProperty(problems, fc.integer({ min: 0, max: 15 }), async (problem, most) => {
        const { totals } = await solve(problem, { [limit]: most });
        expect(totals.sizeBytes).toBeLessThanOrEqual(most);
      }),
      { numRuns: 50 },
    );
  });
});

describe("the answer", () => {
  it("is the same byte for byte for the same input, also where calls end the search", async () => {
    await fc.assert(
      fc.asyncProperty(problems, fc.integer({ min: 1, max: 80 }), async (problem, maxWhatIfCalls) => {
        const first = JSON.stringify(await solve(problem, { maxWhatIfCalls }));
        expect(JSON.stringify(await solve(problem, { maxWhatIfCalls }))).toBe(first);
      }),
      { numRuns: 50 },
    );
  });

  it("is the best so far when the time is up, and every improvement on the way was told", async () => {
    const [a, b] = [candidate("a", 1), candidate("b", 1)];
    const statements = {
      s: [
        { needs: [], cost: 100 },
        { needs: [a], cost: 40 },
      ],
      t: [
        { needs: [], cost: 100 },
        { needs: [b], cost: 40 },
      ],
    };
    const told: number[] = [];
    const result = await solve(
      { candidates: [a, b], statements, budget: 10 },
      {
        maxMs: 0,
        onProgress: ({ cost }) => told.push(cost),
      },
    );
    expect(result.complete).toBe(false);
    expect(result.totals.costAfter).toBeLessThanOrEqual(200);
    expect(told.length).toBeGreaterThan(0);
    expect(told.toSorted((x, y) => y - x)).toEqual(told);
  });
});
