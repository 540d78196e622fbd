import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { TableAccess } from "../../src/domain/index.ts";
import { createCostModel } from "../../src/whatif/index.ts";
import { access } from "../catalog.ts";
import { type Alternative, index, planner, statement } from "./planner.ts";

const none = new Set<never>();
const a = index("t", "a");
const b = index("t", "b");
const other = index("u", "x");

const model = (
  alternatives: Record<string, Alternative[]>,
  accesses: Record<string, TableAccess[]> = {},
  canHide = true,
) => {
  const asked = planner(new Map(Object.entries(alternatives)), { canHide });
  const statements = Object.keys(alternatives).map((text) => statement(text, { [text]: 1 }));
  const hypothetical = [a, b, other];
  return {
    asked,
    costs: createCostModel({ planner: asked, statements, accesses: new Map(Object.entries(accesses)), hypothetical }),
  };
};
const query = (statementId: string, visible: readonly { id: string }[] = [], hidden: number[] = []) => ({
  statementId,
  visible: new Set(visible.map((one) => one.id)),
  hidden: new Set(hidden),
});
const cost = (answers: readonly unknown[]) => answers.map((answer) => (answer as { cost?: number }).cost);

describe("the cost of a statement under a configuration", () => {
  it("is the sum of its bindings' costs by their shares", async () => {
    const asked = planner(
      new Map([
        ["rare", [{ needs: [], cost: 10 }]],
        ["common", [{ needs: [], cost: 1_000 }]],
      ]),
    );
    const costs = createCostModel({
      planner: asked,
      statements: [statement("s", { rare: 0.25, common: 0.75 })],
      accesses: new Map(),
      hypothetical: [],
    });
    expect(await costs.costs([query("s")])).toEqual([{ kind: "costed", cost: 752.5, used: [] }]);
    expect(costs.whatIfCalls).toBe(2);
  });

  it("is asked once, and all of a batch in one go", async () => {
    const { asked, costs } = model({ s: [{ needs: [], cost: 9 }], t: [{ needs: [], cost: 8 }] });
    expect(cost(await costs.costs([query("s"), query("t"), query("s"), query("s", [a])]))).toEqual([9, 8, 9, 9]);
    expect(asked.batches).toEqual([3]);
    await costs.costs([query("t"), query("s", [a])]);
    expect([costs.whatIfCalls, costs.skipped]).toEqual([3, 3]);
  });

  it("does not depend on indexes of tables or columns it does not touch", async () => {
    const { asked, costs } = model(
      { s: [{ needs: [], cost: 9 }] },
      { s: [access("t", { equality: ["a"], referenced: ["a", "c"] })] },
    );
    expect(costs.relevant("s")).toEqual([a.id]);
    await costs.costs([query("s"), query("s", [other]), query("s", [b])]);
    expect(asked.requests.map((request) => request.visible.size)).toEqual([0]);
  });

  it("may depend on an index that holds all it reads, and on any index of the table when the whole row is read", () => {
    const covering = index("t", "z", "c");
    const costs = createCostModel({
      planner: planner(new Map()),
      statements: [statement("narrow", { n: 1 }), statement("whole", { w: 1 })],
      accesses: new Map([
        ["narrow", [access("t", { referenced: ["c"] })]],
        ["whole", [access("t", { referenced: null })]],
      ]),
      hypothetical: [covering, a, other],
    });
    expect(costs.relevant("narrow")).toEqual([covering.id]);
    expect(costs.relevant("whole")).toEqual([covering.id, a.id]);
  });

  it("follows from a plan with more indexes visible when it used none of those taken away", async () => {
    const { asked, costs } = model({
      s: [
        { needs: [], cost: 9 },
        { needs: [a.id], cost: 3 },
      ],
    });
    await costs.costs([query("s", [a, b])]);
    expect(await costs.costs([query("s", [a])])).toEqual([{ kind: "costed", cost: 3, used: [a.id] }]);
    expect(asked.requests).toHaveLength(1);
    expect(cost(await costs.costs([query("s", [b])]))).toEqual([9]);
  });

  it("is planned exactly where that is asked for", async () => {
    const { asked, costs } = model({ s: [{ needs: [], cost: 9 }] });
    await costs.costs([query("s", [a, b])]);
    await costs.costs([query("s", [a])], "planned");
    expect(asked.requests).toHaveLength(2);
  });

  it("is a reported failure, never zero, where the planner cannot plan it; and it is not asked again", async () => {
    const { asked, costs } = model({ s: [] });
    expect(await costs.costs([query("s")])).toEqual([{ kind: "failed", reason: "no such table" }]);
    await costs.costs([query("s")]);
    expect(asked.requests).toHaveLength(1);
  });

  it("is asked apart for every set of hidden indexes, unless the planner cannot hide", async () => {
    const able = model({ s: [{ needs: [], cost: 9 }] });
    await able.costs.costs([query("s"), query("s", [], [1, 2]), query("s", [], [2, 1])]);
    expect(able.asked.requests.map((request) => [...request.hidden])).toEqual([[], [1, 2]]);
    const unable = model({ s: [{ needs: [], cost: 9 }] }, {}, false);
    await unable.costs.costs([query("s"), query("s", [], [1])]);
    expect(unable.asked.requests.map((request) => [...request.hidden])).toEqual([[]]);
  });

  it("recognises an index by the name the planner gives it", async () => {
    const { costs } = model({ s: [{ needs: [a.id], cost: 3 }] });
    const named = createCostModel({
      planner: {
        ...planner(new Map()),
        plan: async () => [
          { kind: "planned", plan: { root: {} as never }, totalCost: 3, usedIndexes: [a.planName, "orders_pkey"] },
        ],
      },
      statements: [statement("s", { s: 1 })],
      accesses: new Map(),
      hypothetical: [a],
    });
    expect(await named.costs([query("s", [a])])).toEqual(await costs.costs([query("s", [a])]));
  });

  it("for an unknown statement is a mistake of the caller", async () => {
    await expect(model({}).costs.costs([query("gone")])).rejects.toThrow("gone");
  });
});

describe("whatever was asked before", () => {
  const indexes = ["a", "b", "c", "d", "e"].map((column) => index("t", column));
  const ids = indexes.map((one) => one.id);
  const alternatives = fc
    .array(fc.record({ needs: fc.subarray(ids), cost: fc.integer({ min: 1, max: 99 }) }), { maxLength: 8 })
    .map((some) => [...some, { needs: [], cost: 100 }]);

  it("answers equal the planner's own", async () => {
    await fc.assert(
      fc.asyncProperty(alternatives, fc.array(fc.subarray(ids), { maxLength: 12 }), async (plans, sets) => {
        const truth = (visible: readonly string[]): number =>
          Math.min(...plans.filter(({ needs }) => needs.every((id) => visible.includes(id))).map((one) => one.cost));
        const asked = planner(new Map([["s", plans]]));
        const costs = createCostModel({
          planner: asked,
          statements: [statement("s", { s: 1 })],
          accesses: new Map(),
          hypothetical: indexes,
        });
        for (const set of sets) {
          const question = { statementId: "s", visible: new Set(set), hidden: none };
          const [answer] = await costs.costs([question]);
          expect(answer).toMatchObject({ kind: "costed", cost: truth(set) });
        }
        expect(costs.whatIfCalls).toBeLessThanOrEqual(new Set(sets.map((set) => set.toSorted().join())).size);
        expect(costs.whatIfCalls + costs.skipped).toBe(sets.length);
      }),
    );
  });
});
