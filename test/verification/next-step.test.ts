import { describe, expect, it } from "vitest";
import type { ArmComparison, ExperimentVerdict, Outcome } from "../../src/domain/index.ts";
import { type ExperimentStanding, harmedStatements, nextStep } from "../../src/verification/index.ts";

const statement = (statementId: string, outcome: Outcome, treatmentMs: number, calls = 100): ArmComparison => ({
  statementId,
  outcome,
  controlMs: 10,
  treatmentMs,
  controlCalls: calls,
  treatmentCalls: calls,
  change: treatmentMs / 10 - 1,
  interval: null,
});

const verdictOf = (outcome: Outcome, statements: readonly ArmComparison[]): ExperimentVerdict => ({
  outcome,
  change: null,
  interval: null,
  pages: null,
  errors: null,
  units: null,
  statements,
  soundBlocks: 10,
  voidBlocks: 0,
  reason: "as it is",
});

const standing = (verdict: ExperimentVerdict): ExperimentStanding => ({
  experiment: {
    kind: "canary",
    stages: [0.1, 0.5, 1],
    stage: 0,
    stageAt: new Date(0),
    createdAt: new Date(0),
    maxMs: 60_000,
    blockMs: 1000,
    deciding: ["a", "b"],
  },
  verdict,
  atStage: { windows: 10, treatmentCalls: 100 },
  full: null,
  writes: null,
  savedMs: 1,
  paidMs: 0,
  minimumWindows: 5,
  minimumCalls: 100,
  allowHarm: false,
  now: new Date(30_000),
});

describe("a canary that harms", () => {
  it("ends for one statement that is worse, by its name, though all together are better", () => {
    const verdict = verdictOf("better", [statement("a", "better", 1), statement("c", "worse", 30)]);
    expect(nextStep(standing(verdict))).toMatchObject({
      kind: "end",
      code: "harms_statement",
      reason: expect.stringContaining("c (+200 %)") as string,
    });
  });

  it("ends when all together are worse, and says by which most of it is before any is shown by itself", () => {
    const verdict = verdictOf("worse", [
      statement("a", "undecided", 30, 10),
      statement("b", "undecided", 20),
      statement("c", "undecided", 500),
    ]);
    expect(nextStep(standing(verdict))).toMatchObject({
      kind: "end",
      code: "worse",
      reason: "as it is; the most of it by b (+100 %)",
    });
  });

  it("names nobody where all together are not shown to be worse", () => {
    expect(harmedStatements(verdictOf("undecided", [statement("a", "undecided", 30)]), null)).toEqual([]);
  });
});
