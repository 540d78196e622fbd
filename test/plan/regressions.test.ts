import { describe, expect, it } from "vitest";
import { decodePlan, type Plan, planRisks, skewRisk, statementRisks } from "../../src/plan/index.ts";

interface Sketch {
  readonly [field: string]: unknown;
  readonly children?: readonly Sketch[];
}

const raw = ({ children = [], ...fields }: Sketch): object => ({
  "Startup Cost": 0,
  "Total Cost": 1000,
  "Plan Rows": 1,
  "Plan Width": 8,
  ...fields,
  ...(children.length === 0 ? {} : { Plans: children.map(raw) }),
});

const plan = (sketch: Sketch): Plan => decodePlan([{ Plan: raw(sketch) }]);
const scan = (alias: string, rows: number, fields: object = {}): Sketch => ({
  "Node Type": "Seq Scan",
  Alias: alias,
  "Plan Rows": rows,
  ...fields,
});
const codes = (before: Sketch, after: Sketch): string[] =>
  planRisks(plan(before), plan(after)).map((risk) => risk.code);

describe("a join that becomes a nested loop", () => {
  const hashed: Sketch = {
    "Node Type": "Hash Join",
    "Total Cost": 2_000,
    "Join Type": "Inner",
    children: [scan("o", 50_000), { "Node Type": "Hash", children: [scan("c", 5)] }],
  };
  const looped = (outerRows: number, filter: string, perLoop = 1_000): Sketch => ({
    "Node Type": "Nested Loop",
    "Join Type": "Inner",
    children: [
      scan("c", outerRows, { Filter: filter }),
      { "Node Type": "Index Scan", Alias: "o", "Index Name": "x", "Plan Rows": 10, "Total Cost": perLoop },
    ],
  });

  it.each<[string, Sketch, string[]]>([
    ["over few rows of several filters is a risk", looped(2, "((a = 1) AND (b = 2))"), ["nested_loop_underestimated"]],
    ["that stays cheaper at a hundred times the rows is none", looped(2, "((a = 1) AND (b = 2))", 1), []],
    ["over few rows of one condition is none", looped(2, "(a = 1)"), []],
    ["over many rows is the planner's considered choice", looped(500, "((a = 1) AND (b = 2))"), []],
  ])("%s", (_, after, expected) => {
    expect(codes(hashed, after)).toEqual(expected);
  });

  it("that was one before is no change", () => {
    const loop = looped(2, "((a = 1) AND (b = 2))");
    expect(codes(loop, loop)).toEqual([]);
  });
});

describe("a limit", () => {
  const ordered: Sketch = {
    "Node Type": "Limit",
    "Plan Rows": 10,
    "Total Cost": 5,
    children: [{ "Node Type": "Index Scan", "Index Name": "x", "Plan Rows": 5000 }],
  };
  const sorted = (rows: number): Sketch => ({
    "Node Type": "Limit",
    "Plan Rows": 10,
    children: [{ "Node Type": "Sort", "Plan Rows": rows, children: [scan("t", rows)] }],
  });
  const filtered = (fields: object, limitCost: number): Sketch => ({
    "Node Type": "Limit",
    "Plan Rows": 10,
    "Total Cost": limitCost,
    children: [{ "Node Type": "Index Scan", "Index Name": "x", "Total Cost": 10_000, ...fields }],
  });

  it.each<[string, Sketch, Sketch, string[]]>([
    ["that must now sort many rows has lost its early stop", ordered, sorted(5_000), ["early_stop_lost"]],
    ["that must now sort a few has not", ordered, sorted(50), []],
    ["that gains one by searching does not gamble", sorted(5_000), filtered({ "Index Cond": "(a = 1)" }, 20), []],
    [
      "that hopes to find matches early in sort order gambles",
      sorted(5_000),
      filtered({ Filter: "(status = 'x')" }, 20),
      ["early_stop_gambled"],
    ],
    [
      "that expects to read most of the index does not",
      sorted(5_000),
      filtered({ Filter: "(status = 'x')" }, 9_000),
      [],
    ],
    ["that reads the index in order without discarding does not", sorted(5_000), ordered, []],
  ])("%s", (_, before, after, expected) => {
    expect(codes(before, after)).toEqual(expected);
  });
});

describe("values of one statement", () => {
  it.each<[string, readonly [number, number, number][], string | null]>([
    [
      "an index that helps the rare value only is a risk",
      [
        [0.9, 100, 100],
        [0.1, 100, 2],
      ],
      "skewed_parameter",
    ],
    [
      "one that helps most calls is none",
      [
        [0.6, 100, 2],
        [0.4, 100, 100],
      ],
      null,
    ],
    ["one that helps none is another matter", [[1, 100, 99]], null],
  ])("%s", (_, bindings, expected) => {
    const risk = skewRisk(bindings.map(([share, costBefore, costAfter]) => ({ share, costBefore, costAfter })));
    expect(risk?.code ?? null).toBe(expected);
  });
});

describe("a statement", () => {
  const scanCosting = (cost: number): Plan => plan({ ...scan("t", 10), "Total Cost": cost });

  it("is judged by all its values together, each code once", () => {
    const gamble = { "Node Type": "Limit", "Plan Rows": 10, "Total Cost": 20 };
    const before = plan({
      ...gamble,
      "Total Cost": 1000,
      children: [{ "Node Type": "Sort", children: [scan("t", 5_000)] }],
    });
    const after = plan({
      ...gamble,
      children: [{ "Node Type": "Index Scan", "Index Name": "x", "Total Cost": 10_000, Filter: "(a = 1)" }],
    });
    const risks = statementRisks([
      { share: 0.5, before, after },
      { share: 0.5, before, after },
    ]);
    expect(risks.map(({ code }) => code)).toEqual(["early_stop_gambled"]);
  });

  it("that few of its values profit from says so", () => {
    const risks = statementRisks([
      { share: 0.7, before: scanCosting(100), after: scanCosting(100) },
      { share: 0.3, before: scanCosting(100), after: scanCosting(2) },
    ]);
    expect(risks).toEqual([{ code: "skewed_parameter", reason: expect.stringContaining("30 % of the calls") }]);
  });
});
