import type { ArmComparison, Experiment, ExperimentVerdict, Outcome, Verdict, WriteVerdict } from "../domain/index.ts";
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

/** What comes next. `advance` goes to the next stage, `retreat` to the one before; `end` removes what was built for the experiment; `apply` gives the arm's index to everybody first. */
export type ExperimentStep =
  | { readonly kind: "wait" }
  | { readonly kind: "advance"; readonly reason: string }
  | { readonly kind: "retreat"; readonly reason: string }
  | {
      readonly kind: "apply";
      readonly winner: "control" | "treatment";
      readonly outcome: Outcome;
      readonly reason: string;
    }
  | { readonly kind: "end"; readonly outcome: Outcome; readonly code: EndCode; readonly reason: string };

/** What is known of a canary that some tenants have: before and after, for the index serves nobody else. */
export interface TenantStanding {
  readonly experiment: Pick<Experiment, "stageAt" | "maxMs">;
  readonly verdict: ExperimentVerdict;
  readonly scans: number;
  /** Sound blocks since the index was built. */
  readonly blocks: number;
  readonly minimumBlocks: number;
  readonly now: Date;
}

/**
 * Some tenants are there to be harmed before everybody is: what is worse ends. What they use, and is not shown to be worse in twice the blocks that a verdict
 * needs, is built for everybody, and has its verdict then.
 */
export const tenantStep = ({
  experiment,
  verdict,
  scans,
  blocks,
  minimumBlocks,
  now,
}: TenantStanding): ExperimentStep => {
  const harmed = verdict.statements.find(({ outcome }) => outcome === "worse");
  if (verdict.outcome === "worse") return { kind: "end", outcome: "worse", code: "worse", reason: verdict.reason };
  if (harmed !== undefined) {
    const reason = `worse on ${harmed.statementId} (${percent(harmed.change ?? 0)})`;
    return { kind: "end", outcome: "worse", code: "harms_statement", reason };
  }
  if (scans > 0 && blocks >= 2 * minimumBlocks) {
    const reason = `nothing is worse for the tenants that have it: ${verdict.reason}`;
    return { kind: "apply", winner: "treatment", outcome: verdict.outcome, reason };
  }
  if (now.getTime() < experiment.stageAt.getTime() + experiment.maxMs) return { kind: "wait" };
  return { kind: "end", outcome: "undecided", code: scans > 0 ? "undecided" : "unused", reason: verdict.reason };
};

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
 * Statements that the treatment harms: those that are shown to be worse. Where all together are, before any of them is by itself, the one that decides and
 * takes the most time more.
 */
export const harmedStatements = (
  { outcome, statements }: Pick<ExperimentVerdict, "outcome" | "statements">,
  deciding: Experiment["deciding"],
): readonly ArmComparison[] => {
  const shown = statements.filter(
    (one) =>
      one.outcome === "worse" && (deciding?.includes(one.statementId) === true || (one.interval?.low ?? 0) > gateCost),
  );
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
  const harmed = harmedStatements(verdict, deciding);
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

  const isLast = experiment.stage + 1 >= experiment.stages.length;
  if (verdict.outcome === "better") {
    if (!isCanary || (isLast && (seenEnough || isOver))) {
      return { kind: "apply", winner: "treatment", outcome: "better", reason: verdict.reason };
    }
    if (!isLast && seenEnough) return { kind: "advance", reason: verdict.reason };
  }
  if (isOver) return end("undecided", "undecided", `its time is over: ${verdict.reason}`);
  // Without a control nothing can be told any more: only what is better goes to everybody.
  const nextShare = shareOf({ stages: experiment.stages, stage: experiment.stage + 1 });
  if (verdict.outcome === "undecided" && !isLast && seenEnough && nextShare < 1) {
    return { kind: "advance", reason: "nothing speaks against it so far" };
  }
  // Not before enough was seen: windows of the stage before may still be handed in.
  if (experiment.stage > 0 && verdict.outcome === "undecided" && seenEnough && shareOf(experiment) === 1) {
    const reason = `not shown to be better any more, and without a control nothing more can be: ${verdict.reason}`;
    return { kind: "retreat", reason };
  }
  return { kind: "wait" };
};
