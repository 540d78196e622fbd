import { beforeAll, describe, expect, it } from "vitest";
import { equalTrees } from "../../src/sql/equal-trees.ts";
import { loadParser, parseStatement } from "../../src/sql/index.ts";

beforeAll(loadParser);

const tree = (text: string): Record<string, Record<string, unknown>> => {
  const parsed = parseStatement(text);
  if (parsed.kind !== "parsed") throw new Error(parsed.message);
  return parsed.statement.tree as unknown as Record<string, Record<string, unknown>>;
};
const conditionOf = (text: string) => tree(`select from t where ${text}`)["SelectStmt"]?.["whereClause"] as never;

describe("two trees", () => {
  it.each([
    ["select a from t where a = 1 and b = 2", "select  a\nfrom t where ((a = 1)) and (b = 2)", true],
    ["select a from t where a and b and c", "select a from t where (a and b) and c", true],
    ["select a from t where a and (b and (c and d))", "select a from t where a and b and c and d", true],
    ["select a from t where a and b", "select a from t where b and a", false],
    ["select a from t where a and b", "select a from t where a or b", false],
    ["select a from t where a and b", "select a from t where a and b and c", false],
    ["select a from t where a and b", "select a from t where a", false],
    ["select a from t where a or (b and c)", "select a from t where (a or b) and c", false],
    ["select a from t where a = 1", "select a from t where a = 2", false],
    ["select a from t where a = 1", "select a from t where a = '1'", false],
    ["select a from t where a in (1, 2)", "select a from t where a in (1, 2, 3)", false],
    ["select a from t", "select a from t limit 1", false],
    ["select a from t limit 1", "select a from t", false],
    ["select distinct a from t", "select a from t", false],
    ["select a from t", "select a from u", false],
    ["select a from t", "delete from t", false],
  ])("of %s and %s are equal: %s", (one, two, equal) => {
    expect(equalTrees(tree(one), tree(two), new Map())).toBe(equal);
  });

  it.each([
    ["select a from t where g is null and a = 1", "select a from t where a = 1", true],
    ["select a from t where g is null and a = 1 and b = 2", "select a from t where a = 1 and b = 2", true],
    ["select a from t where g is null", "select a from t", true],
    ["select a from t where g is null and (a = 1 or b = 2)", "select a from t where a = 1 or b = 2", true],
    ["select a from t where g is null and a = 1 or b = 2", "select a from t where a = 1 or b = 2", false],
    ["select a from t where a = 1 and g is null", "select a from t where a = 1", false],
    ["select a from t where a = 1", "select a from t where a = 1", false],
    ["select a from t where h is null and a = 1", "select a from t where a = 1", false],
    ["select a from t where g is null and g is null", "select a from t", false],
  ])("of %s and, with a condition added, %s are equal: %s", (one, two, equal) => {
    const original = tree(two);
    const holder = original["SelectStmt"] as object;
    const added = new Map([[holder, { key: "whereClause", conditions: [conditionOf("g is null")] }]]);
    expect(equalTrees(tree(one), original, added)).toBe(equal);
  });
});
