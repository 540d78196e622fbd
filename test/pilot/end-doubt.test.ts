import { describe, expect, test } from "vitest";
import type { Column, RowCondition, RowExpression } from "../../src/domain/index.ts";
import { isAtAnEnd } from "../../src/pilot/end-doubt.ts";
import { column as columnOf, statistics } from "../catalog.ts";

const column = (baseType: string, histogramBounds: string | null): Column =>
  columnOf("c", { baseType, statistics: { ...statistics(-1), histogramBounds } });

const text = (value: string): RowExpression => ({ kind: "constant", type: "text", value });
const number = (value: string): RowExpression => ({ kind: "constant", type: "number", value });
const condition = (operator: string, operands: readonly RowExpression[] | null, name = "c"): RowCondition => ({
  subject: { kind: "column", column: name },
  operator,
  operands,
  joined: false,
});

const prices = column("numeric", "{0.10,50,100,150,199.90}");
const days = column("timestamptz", '{"2024-01-01 00:00:00+00","2024-02-01 00:00:00+00","2024-03-01 00:00:00+00"}');

describe("a range at an end of what the statistics know", () => {
  test.each([
    [">", [number("199.5")], prices, true],
    [">=", [number("150.01")], prices, true],
    [">", [number("150")], prices, false],
    [">", [number("10")], prices, false],
    ["<", [number("20")], prices, true],
    ["<=", [number("50")], prices, false],
    ["<", [number("199")], prices, false],
    ["between", [number("160"), number("170")], prices, true],
    ["between", [number("1"), number("2")], prices, true],
    ["between", [number("60"), number("199")], prices, false],
    ["=", [number("199.5")], prices, false],
    [">", null, prices, false],
    [">", [text("2024-02-20")], days, true],
    [">", [{ kind: "cast", argument: text("2024-02-20 10:00:00+01"), type: "timestamptz" }], days, true],
    [">", [text("2024-01-20")], days, false],
    [">", [text("infinity")], days, false],
    [">", [text("zebra")], column("text", "{ant,bee,cow}"), false],
    [">", [number("5")], column("int4", null), false],
  ] as const)("%s %j is told from the middle", (operator, operands, of, expected) => {
    expect(isAtAnEnd(condition(operator, operands), of)).toBe(expected);
  });

  test("of another column says nothing", () => {
    expect(isAtAnEnd(condition(">", [number("199.5")], "d"), prices)).toBe(false);
  });
});
