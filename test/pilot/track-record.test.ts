import { describe, expect, test } from "vitest";
import type { Outcome } from "../../src/domain/index.ts";
import { doubtOfRecord, type Judged, trackRecordOf } from "../../src/pilot/track-record.ts";

/** An index that was promised to leave a tenth, and of whose statement `left` of 10 ms was left. */
const judged = (outcome: Outcome, left: number | null): Judged => ({
  kind: "create",
  indexName: "orders_customer",
  rationale: { statementIds: ["read"], costBefore: 100, costAfter: 10, reason: "it helps" },
  verdict: {
    outcome,
    change: null,
    interval: null,
    exposure: "time",
    drift: null,
    controlStatements: 0,
    reason: "",
    statements: [
      {
        statementId: "read",
        outcome,
        meanMsBefore: 10,
        meanMsAfter: left === null ? null : left * 10,
        change: null,
        interval: null,
        callsBefore: 7,
        callsAfter: 900,
        blocksBefore: 5,
        blocksAfter: 5,
        reason: "",
      },
      // A write of the table: it was promised nothing.
      {
        statementId: "write",
        outcome: "worse",
        meanMsBefore: 1,
        meanMsAfter: 5,
        change: null,
        interval: null,
        callsBefore: 1000,
        callsAfter: 1000,
        blocksBefore: 5,
        blocksAfter: 5,
        reason: "",
      },
    ],
  },
});

const times = (count: number, one: Judged): readonly Judged[] => Array.from({ length: count }, () => one);

describe("our own record in a database", () => {
  test("counts verdicts, reverts and undecided, and sets what was measured beside what was promised", () => {
    const record = trackRecordOf([
      judged("better", 0.1),
      judged("equivalent", 1),
      judged("undecided", 0.5),
      { ...judged("worse", 3), kind: "drop" },
      { ...judged("better", 0.1), verdict: null },
    ]);
    expect(record).toMatchObject({ decided: 2, reverted: 1, undecided: 1 });
    expect(record.gains.map(({ predicted, measured }) => [predicted, measured])).toEqual([
      [-0.9, -0.9],
      [-0.9, 0],
      [-0.9, -0.5],
    ]);
    expect(record.achieved).toBeCloseTo(0.5, 12);
  });

  test("has no measure of a statement that was not called after the change", () => {
    expect(trackRecordOf([judged("better", null)])).toMatchObject({ decided: 1, gains: [], achieved: null });
  });

  test.each([
    // The chance of at least so many reverts at 11 % each is: 0.11, 0.21, 0.034, 0.095, 0.021.
    ["one bad index says nothing", times(1, judged("worse", 2)), null],
    ["nor one of two", [judged("better", 0.1), judged("worse", 2)], null],
    ["two of three do", [judged("better", 0.1), ...times(2, judged("worse", 2))], "often_reverted"],
    ["two of five do not", [...times(3, judged("better", 0.1)), ...times(2, judged("worse", 2))], null],
    ["three of six do", [...times(3, judged("better", 0.1)), ...times(3, judged("worse", 2))], "often_reverted"],
    ["savings of a third of what was promised do", times(4, judged("better", 0.7)), "promised_too_much"],
    ["and what was kept as promised is believed", times(9, judged("better", 0.12)), null],
    ["as is a database without any", [], null],
  ])("%s", (_, deployments, code) => {
    expect(doubtOfRecord(trackRecordOf(deployments))?.code ?? null).toBe(code);
  });
});
