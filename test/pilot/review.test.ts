import { describe, expect, it } from "vitest";
import type { Calibration, ChosenIndex, Statement, WhatIfPlanner, WhatIfRequest } from "../../src/domain/index.ts";
import { decodePlan } from "../../src/plan/index.ts";
import { readPlanChanges } from "../../src/pilot/plan-changes.ts";
import { selectReviewed } from "../../src/pilot/review.ts";
import type { SelectionResult } from "../../src/selection/index.ts";
import { access } from "../catalog.ts";
import { candidate } from "../selection/source.ts";

const [small, large] = [candidate("a", 400), candidate("b", 400)] as const;

const statement = (id: string): Statement => ({
  id,
  fingerprint: "0123456789abcdef",
  queryId: "1",
  label: "select t",
  text: "select from t where a = $1 order by b limit 10",
  verb: "select",
  scope: { role: "app", searchPath: ["public"] },
  calls: 1,
  totalMs: 1,
  rowsPerCall: 1,
  bindings: [{ sql: "select 1", share: 1, source: "literal" }],
});

const limited = (cost: number, below: object): ReturnType<typeof decodePlan> =>
  decodePlan([{ Plan: { "Node Type": "Limit", "Total Cost": cost, "Plan Rows": 10, Plans: [below] } }]);
const sorted = limited(1_000, { "Node Type": "Sort", "Plan Rows": 5_000, "Total Cost": 1_000 });
const gambled = limited(20, {
  "Node Type": "Index Scan",
  "Index Name": "b",
  "Total Cost": 10_000,
  Filter: "(a = 1)",
});

/** With `large` it reads in the order of the index and hopes. */
const planner: WhatIfPlanner = {
  name: "shadow",
  canHide: true,
  register: () => Promise.resolve([small, large]),
  plan: (requests: readonly WhatIfRequest[]) =>
    Promise.resolve(
      requests.map(({ visible }) => {
        const plan = visible.has(large.id) ? gambled : sorted;
        return { kind: "planned" as const, plan, totalCost: plan.root.totalCost, usedIndexes: [...visible] };
      }),
    ),
  close: () => Promise.resolve(),
};

const chosen = (index: ChosenIndex["index"]): ChosenIndex => ({
  index,
  statementIds: ["s"],
  costBefore: 1_000,
  costAfter: 20,
  gains: [{ statementId: "s", saving: 490 }],
});

const configuration = (...indexes: readonly ChosenIndex["index"][]): SelectionResult => ({
  create: indexes.map(chosen),
  drop: [],
  declined: [],
  statements: [{ statementId: "s", costBefore: 1_000, costAfter: 20, usedIndexes: indexes.map(({ id }) => id) }],
  totals: { costBefore: 1_000, costAfter: 20, sizeBytes: 800, whatIfCalls: 7 },
  unit: "milliseconds",
  unplanned: [],
  complete: true,
  solverMs: 0,
});

describe("the plans of a finished configuration", () => {
  it("are read before and after, and a risk is laid to the index without which it would not be there", async () => {
    const found = await readPlanChanges(planner, [statement("s")], configuration(small, large));
    expect(found.changes.get("s")).toEqual([{ share: 1, before: sorted, after: gambled }]);
    expect(found.risks).toMatchObject([{ code: "early_stop_gambled", statementId: "s", indexId: large.id }]);
    expect(found).toMatchObject({ calls: 4, unchecked: 0 });
  });

  it("are not asked for where no index of it is used", async () => {
    const found = await readPlanChanges(planner, [statement("t")], configuration(small, large));
    expect(found).toEqual({ changes: new Map(), risks: [], calls: 0, unchecked: 0 });
  });
});

describe("selecting under review", () => {
  const review = (confidence: Calibration["confidence"]) =>
    selectReviewed({
      planner,
      candidates: [small, large],
      statements: [statement("s")],
      accesses: new Map(),
      calibrations: [{ statementId: "s", confidence, targetCost: 1, whatIfCost: 2, reason: null }],
      select: (candidates) => Promise.resolve(configuration(...candidates)),
    });

  it("keeps an index at risk where the planner's plans are the target's", async () => {
    const { configuration: selected } = await review("trusted");
    expect(selected.create.map(({ index }) => index)).toEqual([small, large]);
    // One plan before, one after, and two more to find out whose risk it is.
    expect(selected.totals.whatIfCalls).toBe(7 + 4);
  });

  it("selects again without it where they are not, and says why", async () => {
    const { configuration: selected, plans } = await review("low");
    expect(selected.create.map(({ index }) => index)).toEqual([small]);
    expect(selected.declined).toMatchObject([{ definition: large.definition, code: "early_stop_gambled" }]);
    expect(plans.risks).toEqual([]);
  });
});

describe("an index that helps few of a parameter's values", () => {
  const drawn: Statement = {
    ...statement("s"),
    bindings: [
      { sql: "select 1", share: 0.6, source: "statistics" },
      { sql: "select 2", share: 0.4, source: "statistics" },
    ],
  };
  const helping: WhatIfPlanner = {
    ...planner,
    plan: (requests) =>
      Promise.resolve(
        requests.map(({ visible, binding }) => {
          const cost = visible.has(large.id) && binding.sql === "select 2" ? 5 : 1_000;
          const plan = decodePlan([{ Plan: { "Node Type": "Seq Scan", "Total Cost": cost, "Plan Rows": 1 } }]);
          return { kind: "planned" as const, plan, totalCost: cost, usedIndexes: [...visible] };
        }),
      ),
  };
  const review = (range: readonly string[]) =>
    selectReviewed({
      planner: helping,
      candidates: [large],
      statements: [drawn],
      accesses: new Map([["s", [access("t", { equality: ["a"], range })]]]),
      calibrations: [],
      select: (candidates) => Promise.resolve(configuration(...candidates)),
    });

  it("is declined, for nobody knows whether the calls ask for them", async () => {
    const { configuration: selected } = await review([]);
    expect(selected.create).toEqual([]);
    expect(selected.declined).toMatchObject([
      { code: "skewed_parameter", reason: expect.stringContaining("40 % of the calls") },
    ]);
  });

  it("is kept with a doubt where they are narrow ranges", async () => {
    const { configuration: selected, plans } = await review(["a"]);
    expect(selected.create).toHaveLength(1);
    expect(plans.risks).toMatchObject([{ code: "skewed_parameter", indexId: large.id }]);
  });
});
