import { describe, expect, test } from "vitest";
import type { ArmComparison, ExperimentVerdict, Outcome } from "../../src/domain/index.ts";
import { type ExperimentStanding, harmedStatements, nextStep } from "../../src/verification/index.ts";

const verdict = (outcome: Outcome, changed: Partial<ExperimentVerdict> = {}): ExperimentVerdict => ({
  outcome,
  change: null,
  interval: null,
  pages: null,
  errors: null,
  units: null,
  statements: [],
  soundBlocks: 10,
  voidBlocks: 0,
  reason: `it is ${outcome}`,
  ...changed,
});

const worseStatement = (statementId: string, low: number): ArmComparison => ({
  statementId,
  outcome: "worse",
  controlMs: 1,
  treatmentMs: 2,
  controlCalls: 100,
  treatmentCalls: 100,
  change: 1,
  interval: { low, high: 2, level: 0.95 },
});

const begun = new Date("2026-03-01T00:00:00Z");
const late = new Date(begun.getTime() + 3_600_000);

const standing = (changed: Partial<ExperimentStanding> & { readonly stage?: number } = {}): ExperimentStanding => {
  const { stage = 0, ...rest } = changed;
  return {
    experiment: {
      kind: "canary",
      stages: [0.1, 0.5, 1],
      stage,
      deciding: ["used"],
    },
    verdict: verdict("undecided"),
    atStage: { windows: 10, treatmentCalls: 1000 },
    scans: 50,
    full: null,
    writes: null,
    savedMs: 10,
    paidMs: 0,
    minimumWindows: 5,
    minimumCalls: 100,
    allowHarm: false,
    endsAt: late,
    now: new Date(begun.getTime() + 60_000),
    ...rest,
  };
};

const comparison = { ...standing().experiment, kind: "comparison", stages: [0.5] } as const;
const writes = { outcome: "worse", change: 1, interval: null, walPerRowBefore: null, walPerRowAfter: null } as const;
const failing = {
  difference: 0.1,
  interval: { low: 0.05, high: 0.2, level: 0.95 },
  outcome: "worse",
} as const;
const few = { windows: 4, treatmentCalls: 1000 };

describe("what comes next in an experiment", () => {
  test.each<[string, ExperimentStanding, object]>([
    ["waits at a tenth before enough was seen", standing({ atStage: few }), { kind: "wait" }],
    ["waits for calls as well", standing({ atStage: { windows: 10, treatmentCalls: 99 } }), { kind: "wait" }],
    ["goes from a tenth to half while nothing speaks against it", standing(), { kind: "advance" }],
    [
      "goes back from all to half when it is not shown to be better any more",
      standing({ stage: 2 }),
      { kind: "retreat" },
    ],
    ["does not go back before enough was seen", standing({ stage: 2, atStage: few }), { kind: "wait" }],
    [
      "does not go back when its time is over",
      standing({ stage: 2, now: late }),
      { kind: "end", code: "undecided", outcome: "undecided" },
    ],
    [
      "waits where everybody had it from the first",
      standing({ experiment: { ...standing().experiment, stages: [1] } }),
      { kind: "wait" },
    ],
    ["does not go from half to all undecided", standing({ stage: 1 }), { kind: "wait" }],
    ["goes from half to all when better", standing({ stage: 1, verdict: verdict("better") }), { kind: "advance" }],
    [
      "does not skip a stage, however good",
      standing({ stage: 1, verdict: verdict("better"), atStage: few }),
      { kind: "wait" },
    ],
    [
      "is applied at the last stage when better",
      standing({ stage: 2, verdict: verdict("better") }),
      { kind: "apply", winner: "treatment" },
    ],
    [
      "is removed at once when worse",
      standing({ verdict: verdict("worse"), atStage: few }),
      { kind: "end", code: "worse", outcome: "worse" },
    ],
    [
      "is removed when more fails, however fast",
      standing({ verdict: verdict("better", { errors: failing }) }),
      { kind: "end", code: "errors", outcome: "worse" },
    ],
    [
      "is removed when it harms a statement that uses it, and names it",
      standing({ stage: 2, verdict: verdict("better", { statements: [worseStatement("used", 0.06)] }) }),
      { kind: "end", code: "harms_statement", reason: expect.stringContaining("used (+100 %)") as string },
    ],
    [
      "stays where harm is allowed",
      standing({
        stage: 2,
        allowHarm: true,
        verdict: verdict("better", { statements: [worseStatement("used", 0.06)] }),
      }),
      { kind: "apply" },
    ],
    [
      "is not blamed for what the gate costs a statement that does not use it",
      standing({ stage: 2, verdict: verdict("better", { statements: [worseStatement("other", 0.19)] }) }),
      { kind: "apply" },
    ],
    [
      "is blamed for more than that",
      standing({ stage: 2, verdict: verdict("better", { statements: [worseStatement("other", 0.21)] }) }),
      { kind: "end", code: "harms_statement" },
    ],
    [
      "is removed when writes pay more than reads save",
      standing({ stage: 2, verdict: verdict("better"), writes, paidMs: 11 }),
      { kind: "end", code: "writes_cost_more" },
    ],
    [
      "stays when writes pay less than reads save",
      standing({ stage: 2, verdict: verdict("better"), writes, paidMs: 9 }),
      { kind: "apply" },
    ],
    [
      "is removed when worse with everybody on it",
      standing({ stage: 2, verdict: verdict("better"), full: { outcome: "worse", reason: "slower" } }),
      { kind: "end", code: "worse_for_all" },
    ],
    [
      "is removed when it brings nothing",
      standing({ verdict: verdict("equivalent") }),
      { kind: "end", code: "equivalent" },
    ],
    [
      "is removed when its time is over",
      standing({ stage: 1, now: late }),
      { kind: "end", code: "undecided", outcome: "undecided" },
    ],
    [
      "is better in time, though the last stage saw little",
      standing({ stage: 2, verdict: verdict("better"), atStage: few, now: late }),
      { kind: "apply" },
    ],
    [
      "ends undecided where nothing uses it, whatever the gate costs",
      standing({ verdict: verdict("worse"), scans: 0, experiment: { ...standing().experiment, deciding: [] } }),
      { kind: "end", code: "unused", outcome: "undecided" },
    ],
    [
      "is not called unused before enough was seen",
      standing({ atStage: few, scans: 0, experiment: { ...standing().experiment, deciding: [] } }),
      { kind: "wait" },
    ],
    [
      "is removed when its time is over, though too little has run to call it unused",
      standing({ atStage: few, scans: 0, experiment: { ...standing().experiment, deciding: [] }, now: late }),
      { kind: "end", code: "unused", outcome: "undecided" },
    ],
    [
      "of two definitions: the better one is applied at once",
      standing({ experiment: comparison, verdict: verdict("better"), atStage: few }),
      { kind: "apply", winner: "treatment" },
    ],
    [
      "of two definitions: where the treatment is worse, the control is applied",
      standing({ experiment: comparison, verdict: verdict("worse") }),
      { kind: "apply", winner: "control", outcome: "worse" },
    ],
    [
      "of two definitions: harm to one statement is told, and decides nothing",
      standing({
        experiment: comparison,
        verdict: verdict("better", { statements: [worseStatement("used", 0.5)] }),
      }),
      { kind: "apply", winner: "treatment" },
    ],
  ])("%s", (_, known, expected) => {
    expect(nextStep(known)).toMatchObject(expected);
  });

  test("names the statement that harms most, where all together are worse before any is by itself", () => {
    const slower = (statementId: string, treatmentMs: number, calls: number): ArmComparison => ({
      ...worseStatement(statementId, 0),
      outcome: "undecided",
      treatmentMs,
      controlCalls: calls,
      change: treatmentMs - 1,
    });
    const statements = [slower("a", 3, 10), slower("b", 2, 200), slower("other", 50, 200)];
    const experiment = { ...standing().experiment, deciding: ["a", "b"] };
    expect(nextStep(standing({ experiment, verdict: verdict("worse", { statements }) }))).toMatchObject({
      code: "worse",
      reason: "it is worse; the most of it by b (+100 %)",
    });
    expect(harmedStatements(verdict("undecided", { statements }), null)).toEqual([]);
  });
});
