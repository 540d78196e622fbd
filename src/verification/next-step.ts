import type { ArmComparison, Experiment, ExperimentVerdict, Outcome, Verdict, WriteVerdict } from "../domain/index.ts";
import { shareOf } from "../domain/index.ts";
import { percent } from "./wording.ts";

/** What is known of an experiment that runs. */
export interface ExperimentStanding {
  readonly experiment: Pick<
    Experiment,
    "kind" | "stages" | "stage" | "stageAt" | "createdAt" | "maxMs" | "blockMs" | "deciding"
  >;
  /** Of the arms side by side. */
  readonly verdict: ExperimentVerdict;
  /** Sound windows since the present stage began, and calls of the treatment in them. */
  readonly atStage: { readonly windows: number; readonly treatmentCalls: number };
  /** With everybody on the treatment, against the control of before; null before that stage has windows. */
  readonly full: Pick<Verdict, "outcome" | "reason"> | null;
  /** What everybody's writes pay, before and after the index was built; null where that is not known. */
  readonly writes: WriteVerdict | null;
  /** Milliseconds a second of all traffic: what reads would save by the point estimate, and what writes pay at least. */
  readonly savedMs: number;
  readonly paidMs: number;
  readonly minimumWindows: number;
  readonly minimumCalls: number;
  /** Whether a better whole makes up for a statement that is worse. */
  readonly allowHarm: boolean;
  readonly now: Date;
}

/** What comes next. `end` removes what was built for the experiment; `apply` gives the arm's index to everybody first. */
export type ExperimentStep =
  | { readonly kind: "wait" }
  | { readonly kind: "advance"; readonly reason: string }
  | {
      readonly kind: "apply";
      readonly winner: "control" | "treatment";
      readonly outcome: Outcome;
      readonly reason: string;
    }
  | { readonly kind: "end"; readonly outcome: Outcome; readonly code: EndCode; readonly reason: string };

export type EndCode =
  | "errors"
  | "worse"
  | "harms_statement"
  | "writes_cost_more"
  | "worse_for_all"
  | "equivalent"
  | "undecided";

/**
 * Statements that the treatment harms: those that are shown to be worse. Where all together are, before any of them is by itself, the one that decides and
 * takes the most time more.
 */
export const harmedStatements = (
  { outcome, statements }: Pick<ExperimentVerdict, "outcome" | "statements">,
  deciding: Experiment["deciding"],
): readonly ArmComparison[] => {
  const shown = statements.filter((one) => one.outcome === "worse");
  if (shown.length > 0 || outcome !== "worse") return shown;
  const moreMs = ({ controlMs, treatmentMs, controlCalls, treatmentCalls }: ArmComparison): number =>
    controlMs === null || treatmentMs === null ? 0 : (treatmentMs - controlMs) * (controlCalls + treatmentCalls);
  return statements
    .filter((one) => moreMs(one) > 0 && (deciding ?? [one.statementId]).includes(one.statementId))
    .toSorted((a, b) => moreMs(b) - moreMs(a))
    .slice(0, 1);
};

/**
 * What comes next in an experiment, by what was seen so far. Whatever speaks against the treatment comes first and needs no minimum: harm ends at once. A
 * canary goes to the next stage when enough was seen of the present one, and to everybody when it is shown to be better; a comparison ends when it is decided.
 */
export const nextStep = (standing: ExperimentStanding): ExperimentStep => {
  const { experiment, verdict, atStage, full, writes, now } = standing;
  const isCanary = experiment.kind === "canary";
  const end = (outcome: Outcome, code: EndCode, reason: string): ExperimentStep => ({
    kind: "end",
    outcome,
    code,
    reason,
  });
  if (verdict.errors?.outcome === "worse") return end("worse", "errors", verdict.reason);
  const harmed = harmedStatements(verdict, experiment.deciding);
  const named = harmed.map(({ statementId, change }) => `${statementId} (${percent(change ?? 0)})`).join(", ");
  if (verdict.outcome === "worse") {
    const isShown = harmed.some(({ outcome }) => outcome === "worse");
    const reason = isShown || named === "" ? verdict.reason : `${verdict.reason}; the most of it by ${named}`;
    return isCanary ? end("worse", "worse", reason) : { kind: "apply", winner: "control", outcome: "worse", reason };
  }
  if (isCanary && harmed.length > 0 && !standing.allowHarm) {
    return end("worse", "harms_statement", `worse on ${named}, and canary.allow_harm does not allow that`);
  }
  if (isCanary && writes?.outcome === "worse" && standing.paidMs > Math.max(0, standing.savedMs)) {
    const [saved, paid] = [standing.savedMs.toFixed(2), standing.paidMs.toFixed(2)];
    return end("worse", "writes_cost_more", `writes pay at least ${paid} ms a second, and reads save ${saved}`);
  }
  if (full?.outcome === "worse") return end("worse", "worse_for_all", `with everybody on it: ${full.reason}`);
  if (verdict.outcome === "equivalent") return end("equivalent", "equivalent", verdict.reason);

  const seenEnough = atStage.windows >= standing.minimumWindows && atStage.treatmentCalls >= standing.minimumCalls;
  const isOver = now.getTime() >= experiment.createdAt.getTime() + experiment.maxMs;
  const isLast = experiment.stage + 1 >= experiment.stages.length;
  if (verdict.outcome === "better") {
    if (!isCanary || (isLast && (seenEnough || isOver))) {
      return { kind: "apply", winner: "treatment", outcome: "better", reason: verdict.reason };
    }
    if (!isLast && seenEnough) return { kind: "advance", reason: verdict.reason };
  }
  if (isOver) return end("undecided", "undecided", `its time is over: ${verdict.reason}`);
  // Without a control nothing could be told any more: only what is better goes to everybody.
  const nextShare = shareOf({ stages: experiment.stages, stage: experiment.stage + 1 });
  if (verdict.outcome === "undecided" && !isLast && seenEnough && nextShare < 1) {
    return { kind: "advance", reason: "nothing speaks against it so far" };
  }
  return { kind: "wait" };
};
