import type { Experiment, ExperimentVerdict, Outcome, Verdict, WriteVerdict } from "../domain/index.ts";
import { shareOf } from "../domain/index.ts";
import { percent } from "./wording.ts";

/** What is known of an experiment that runs. */
export interface ExperimentStanding {
  readonly experiment: Pick<Experiment, "kind" | "stages" | "stage" | "deciding">;
  /** Of the arms side by side. */
  readonly verdict: ExperimentVerdict;
  /** Sound windows since the present stage began, and calls of the treatment in them. */
  readonly atStage: { readonly windows: number; readonly treatmentCalls: number };
  /** How often the arms' indexes were used, as far as the server has counted. */
  readonly scans: number;
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
  /** When its time is over. */
  readonly endsAt: Date;
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
  | "unused"
  | "errors"
  | "worse"
  | "harms_statement"
  | "writes_cost_more"
  | "worse_for_all"
  | "equivalent"
  | "undecided";

/**
 * By so much a statement that reads the table through may be slower for stating the gate, which is asked of every row (measured: a factor of 1.05 to 1.14). Of
 * what does not use an arm's index, only more than that is harm.
 */
const gateCost = 0.2;

/**
 * What comes next in an experiment, by what was seen so far. Whatever speaks against the treatment comes first and needs no minimum: harm ends at once. A
 * canary goes to the next stage when enough was seen of the present one, and to everybody when it is shown to be better; a comparison ends when it is decided.
 */
export const nextStep = (standing: ExperimentStanding): ExperimentStep => {
  const { experiment, verdict, atStage, full, writes, now } = standing;
  const { deciding } = experiment;
  const isCanary = experiment.kind === "canary";
  const isOver = now >= standing.endsAt;
  const seenEnough = atStage.windows >= standing.minimumWindows && atStage.treatmentCalls >= standing.minimumCalls;
  const end = (outcome: Outcome, code: EndCode, reason: string): ExperimentStep => ({
    kind: "end",
    outcome,
    code,
    reason,
  });
  if (verdict.errors?.outcome === "worse") return end("worse", "errors", verdict.reason);
  // The planner uses it for nothing, and nothing has used it: what the arms differ by is the gate.
  if (deciding?.length === 0 && standing.scans === 0) {
    const calls = `${String(atStage.treatmentCalls)} calls that might have used it`;
    return seenEnough || isOver
      ? end("undecided", "unused", `nothing uses it: the planner for no statement, and none of ${calls}`)
      : { kind: "wait" };
  }
  if (verdict.outcome === "worse") {
    return isCanary
      ? end("worse", "worse", verdict.reason)
      : { kind: "apply", winner: "control", outcome: "worse", reason: verdict.reason };
  }
  const harmed = verdict.statements.filter(
    ({ statementId, outcome, interval }) =>
      outcome === "worse" && (deciding?.includes(statementId) === true || (interval?.low ?? 0) > gateCost),
  );
  if (isCanary && harmed.length > 0 && !standing.allowHarm) {
    const named = harmed.map(({ statementId, change }) => `${statementId} (${percent(change ?? 0)})`).join(", ");
    return end("worse", "harms_statement", `worse on ${named}, and canary.allow_harm does not allow that`);
  }
  if (isCanary && writes?.outcome === "worse" && standing.paidMs > Math.max(0, standing.savedMs)) {
    const [saved, paid] = [standing.savedMs.toFixed(2), standing.paidMs.toFixed(2)];
    return end("worse", "writes_cost_more", `writes pay at least ${paid} ms a second, and reads save ${saved}`);
  }
  if (full?.outcome === "worse") return end("worse", "worse_for_all", `with everybody on it: ${full.reason}`);
  if (verdict.outcome === "equivalent") return end("equivalent", "equivalent", verdict.reason);

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
