import { describe, expect, it } from "vitest";
import type { HypotheticalIndex } from "../../src/domain/index.ts";
import type { Clock } from "../../src/runtime/index.ts";
import {
  type Goal,
  selectConfiguration,
  type SelectionInput,
  type SelectionResult,
} from "../../src/selection/index.ts";
import { type Alternative, candidate, source } from "./source.ts";

const stopped: Clock = {
  now: () => new Date(0),
  monotonicMs: () => 0,
  sleep: () => Promise.resolve(),
  sleepUntil: () => Promise.resolve(),
};

const select = (
  goal: Goal,
  candidates: readonly HypotheticalIndex[],
  statements: Readonly<Record<string, { readonly calls: number; readonly plans: readonly Alternative[] }>>,
  changes: Partial<SelectionInput> = {},
): Promise<SelectionResult> =>
  selectConfiguration({
    goal,
    statements: Object.entries(statements).map(([id, { calls }]) => ({ id, calls, totalMs: null })),
    candidates,
    costs: source(Object.fromEntries(Object.entries(statements).map(([id, { plans }]) => [id, plans]))),
    budgetBytes: 100,
    clock: stopped,
    ...changes,
  });

const created = ({ create }: SelectionResult): string[] => create.map(({ index }) => index.planName).toSorted();

describe("the goal", () => {
  const [frequent, rare] = [candidate("frequent", 100), candidate("rare", 100)];
  const room = {
    often: {
      calls: 1_000,
      plans: [
        { needs: [], cost: 100 },
        { needs: [frequent], cost: 10 },
      ],
    },
    seldom: {
      calls: 1,
      plans: [
        { needs: [], cost: 5_000 },
        { needs: [rare], cost: 50 },
      ],
    },
  };

  it.each<[Goal, string]>([
    ["time", "frequent"],
    ["worst-query", "rare"],
  ])("%s spends room for one index on the %s statement", async (goal, name) => {
    expect(created(await select(goal, [frequent, rare], room))).toEqual([name]);
  });

  it("worst-query looks at the time of a call where it is known, not at the planner's cost", async () => {
    const { often, seldom } = room;
    const measured = [
      { id: "often", calls: 10, totalMs: 9_000 },
      { id: "seldom", calls: 1, totalMs: 200 },
    ];
    const result = await select("worst-query", [frequent, rare], { often, seldom }, { statements: measured });
    expect(created(result)).toEqual(["frequent"]);
  });

  it("worst-query goes on to the next statement that has become the worst", async () => {
    const names = ["a", "b", "c"].map((name) => candidate(name, 50));
    const costs = [900, 800, 700];
    const statements = Object.fromEntries(
      names.map((index, position) => [
        index.planName,
        {
          calls: 1,
          plans: [
            { needs: [], cost: costs[position] ?? 0 },
            { needs: [index], cost: 100 },
          ],
        },
      ]),
    );
    expect(created(await select("worst-query", names, statements))).toEqual(["a", "b"]);
  });

  it("storage leaves out a large index that brings the last tenth", async () => {
    const [small, large] = [candidate("small", 5), candidate("large", 95)];
    const statements = {
      s: {
        calls: 1,
        plans: [
          { needs: [], cost: 1_000 },
          { needs: [small], cost: 50 },
          { needs: [large], cost: 10 },
        ],
      },
    };
    expect(created(await select("time", [small, large], statements))).toEqual(["large"]);
    const result = await select("storage", [small, large], statements);
    expect(created(result)).toEqual(["small"]);
    expect(result.totals).toMatchObject({ costAfter: 50, sizeBytes: 5, bound: expect.closeTo(10, 1) as number });
    expect(result.totals.gap).toBeCloseTo(0.8, 2);
  });

  it("storage keeps it where nothing smaller saves enough", async () => {
    const [small, large] = [candidate("small", 5), candidate("large", 95)];
    const statements = {
      s: {
        calls: 1,
        plans: [
          { needs: [], cost: 1_000 },
          { needs: [small], cost: 200 },
          { needs: [large], cost: 10 },
        ],
      },
    };
    expect(created(await select("storage", [small, large], statements))).toEqual(["large"]);
  });

  it.each<Goal>(["worst-query", "storage"])("%s holds the limits of a table", async (goal) => {
    const result = await select(goal, [frequent, rare], room, { budgetBytes: 1_000, maxIndexesOn: () => 1 });
    expect(result.create).toHaveLength(1);
  });
});
