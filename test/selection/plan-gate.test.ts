import { describe, expect, it } from "vitest";
import type { ChosenIndex } from "../../src/domain/index.ts";
import { type IndexRisk, riskyIndexes } from "../../src/selection/index.ts";
import { candidate } from "./source.ts";

const index = candidate("a", 400);
const chosen = (gains: Readonly<Record<string, number>>): ChosenIndex => ({
  index,
  statementIds: Object.keys(gains),
  costBefore: 100,
  costAfter: 10,
  gains: Object.entries(gains).map(([statementId, saving]) => ({ statementId, saving })),
});
const risk = (statementId: string): IndexRisk => ({
  indexId: index.id,
  statementId,
  code: "nested_loop_underestimated",
  reason: "the join becomes a nested loop",
});

describe("an index whose plans are at risk", () => {
  it.each<[string, ChosenIndex, IndexRisk[], string[], string[]]>([
    ["stays where the planner's plans are the target's", chosen({ s: 90 }), [risk("s")], [], []],
    ["stays where another statement is distrusted", chosen({ s: 90 }), [risk("s")], ["t"], []],
    ["goes where all it saves is doubted twice", chosen({ s: 90 }), [risk("s")], ["s"], ["nested_loop_underestimated"]],
    ["stays where most of what it saves is not", chosen({ s: 40, t: 60 }), [risk("s")], ["s"], []],
    ["goes where most of it is", chosen({ s: 60, t: 40 }), [risk("s")], ["s"], ["nested_loop_underestimated"]],
    ["stays without any risk", chosen({ s: 90 }), [], ["s"], []],
  ])("%s", (_, one, risks, distrusted, expected) => {
    const found = riskyIndexes([one], risks, ({ statementId }) =>
      distrusted.includes(statementId) ? "it is distrusted" : null,
    );
    expect(found.map(({ code }) => code)).toEqual(expected);
    for (const { reason } of found) expect(reason).toBe("the join becomes a nested loop; and it is distrusted");
  });
});
