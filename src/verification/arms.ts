import {
  type ArmComparison,
  armNames,
  type Block,
  type ExperimentMetric,
  type ExperimentVerdict,
  type Interval,
  type Outcome,
  type StatementCounters,
} from "../domain/index.ts";
import {
  holmLevels,
  type LatencyHistogram,
  pairedDifference,
  rateDifference,
  sampleRatioPValue,
  sequentialQuantile,
  type Estimate,
} from "../statistics/index.ts";
import { blocksWith, callsIn, fixedMix, type Mix, perCall } from "./contrast.ts";
import { intervalOf, outcomeOf } from "./outcome.ts";
import type { PageEvidence } from "./page-evidence.ts";
import { mergeBlocks, mergedBy, mergeLatencies } from "./windows.ts";
import { between, percent, sentence, share, voidBlocks } from "./wording.ts";

/** What was seen of one arm. */
export interface ArmEvidence {
  /** The same windows of time as the other arm's, in order; by fingerprint. A window that is void in one arm is void in both. */
  readonly blocks: readonly Block[];
  /** Units of assignment within the sound windows, and those with an error; null where nobody counted them. */
  readonly units: { readonly all: number; readonly failed: number } | null;
  /** One for each block; null where only sums are known, as in `pg_stat_statements`. */
  readonly latencies: readonly LatencyHistogram[] | null;
}

export interface ExperimentEvidence {
  readonly control: ArmEvidence;
  readonly treatment: ArmEvidence;
  readonly treatmentShare: number;
  /** Statements that decide: those whose plan an arm's index changes. The others are compared as well, each for itself. Null, empty or absent: all. */
  readonly deciding?: readonly string[] | null;
  /** Where pages were counted apart from the times; null or absent: in the arms' own blocks, if anywhere. */
  readonly pages?: PageEvidence | null;
  readonly metric: ExperimentMetric;
  readonly alpha: number;
  readonly margin: number;
}

/** Fewer cannot tell noise from a change. */
const fewestBlocks = 5;
/** By so much the share of units with an error may be higher before the arm is called worse. */
const errorMargin = 0.001;
/** A split as odd as this is taken for broken: a sequential test, so that it may be looked at all the time. */
const brokenSplit = 0.001;
/** Of alpha, where pages are counted: they are far less noisy than time, so that a small part of it is enough for them. */
const pagesPart = 0.2;

/**
 * By so much the calls of an arm that the server counted may differ from those that were recorded. Windows and blocks do not begin together, and a call that fails is
 * counted on one side only; and strangers, who were not drawn, move the pages per call by their share where theirs are twice as many: by less than the margin of
 * 5 %. Of few calls, those at the edges are more than that: the root of their number is let pass, by which they vary anyway.
 */
const otherCalls = 0.03;

const pages = (of: StatementCounters): number => of.sharedBlocksHit + of.sharedBlocksRead;

/**
 * The verdict over two arms that ran side by side: is the treatment better than the control?
 *
 * Each window of time (or cluster of sessions, or round of slices) is one observation: the difference of the two arms' influences on the logarithm of the
 * mean time per call, at the statements' common mix. What both arms share cancels within a window; calls are never taken for independent. The test is
 * sequential: it may be looked at after every window. Where pages are counted, fewer of them decide as well, as long as time is shown not to be worse by
 * more than the margin, and the server counted nobody's calls but those of units that were drawn. Errors only stop: by randomisation of the units, more of
 * them by more than 0.1 points is worse. A broken split proves nothing.
 */
export const judgeArms = (evidence: ExperimentEvidence): ExperimentVerdict => {
  const { control, treatment, alpha, margin } = evidence;
  const void_ = control.blocks.map((block, i) => block.voidReason ?? treatment.blocks[i]?.voidReason ?? null);
  const sound = <T>(values: readonly T[]): readonly T[] => values.filter((_, i) => void_[i] === null);
  const soundBlocks = sound(control.blocks).length;
  const by = mergedBy(soundBlocks);
  const windowsOf = ({ blocks }: ArmEvidence): readonly Block[] => mergeBlocks(sound(blocks), by);
  const latenciesOf = ({ latencies }: ArmEvidence) => mergeLatencies(sound(latencies ?? []), by);
  const arms = { control: windowsOf(control), treatment: windowsOf(treatment) };
  const ids = [...new Set([...arms.control, ...arms.treatment].flatMap((block) => [...block.statements.keys()]))];
  const decides = evidence.deciding?.length ? evidence.deciding : ids;
  const usableOf = (some: Arms): readonly string[] =>
    decides.filter((id) =>
      [some.control, some.treatment].every((blocks) => blocksWith(blocks, id).length >= fewestBlocks),
    );
  const usable = usableOf(arms);
  const mix = commonMix(arms, usable);
  const counted = evidence.pages ? mergedPairs(soundPairs(evidence.pages)) : arms;
  const withPages = usableOf(counted);
  const pagesChange = paired(counted, commonMix(counted, withPages), pages);
  const areDrawn = !evidence.pages || countsRecorded(evidence.pages, withPages);
  const timeAlpha = pagesChange === null ? alpha : alpha * (1 - pagesPart);
  const time =
    evidence.metric === "mean"
      ? ofEstimate(
          paired(arms, mix, (of) => of.totalMs),
          timeAlpha,
        )
      : p95(latenciesOf(control), latenciesOf(treatment), timeAlpha);
  const pagesInterval = intervalOf(pagesChange, alpha * pagesPart);
  const errors = errorsOf(evidence);
  const units = unitsOf(evidence);
  const tooFew = arms.control.length < fewestBlocks || usable.length === 0;
  const broken = units !== null && units.splitPValue < brokenSplit;
  const byTime = outcomeOf(time.interval, margin);
  const withBoth = decide(time.interval, pagesInterval, margin);
  const isOpen = !broken && !tooFew && errors?.outcome !== "worse";
  const outcome: Outcome = isOpen ? (areDrawn ? withBoth : byTime) : broken || tooFew ? "undecided" : "worse";
  const pagesTell = isOpen && withBoth !== byTime;
  const byPages = pagesTell && areDrawn;
  const voids = voidBlocks(
    void_.map((voidReason) => ({ voidReason })),
    "of the experiment",
  );
  const statements = compareStatements(arms, ids, alpha, margin);
  const harmed = statements.filter((one) => one.outcome === "worse");
  return {
    outcome,
    change: time.change,
    interval: time.interval,
    pages: pagesChange === null ? null : { change: Math.expm1(pagesChange.value), interval: pagesInterval },
    errors,
    units,
    statements,
    soundBlocks,
    voidBlocks: control.blocks.length - soundBlocks,
    reason: sentence([
      broken
        ? `the split is broken: ${String(units.treatment)} of ${String(units.treatment + units.control)} units got the treatment, ${share(evidence.treatmentShare)} were promised; something keeps units of one arm away or counts them wrongly`
        : null,
      tooFew
        ? `too few windows: ${String(soundBlocks)} sound ones, and at least ${String(fewestBlocks)} with calls of the same statement in both arms are needed`
        : describe(evidence.metric, time, outcome, byPages, margin),
      pagesTell && pagesChange !== null && pagesInterval !== null
        ? `pages per call ${percent(Math.expm1(pagesChange.value))} (${between(pagesInterval)}) ${areDrawn ? "decide" : "do not decide: the server counted calls of others, or not all that were recorded"}`
        : null,
      errors?.outcome === "worse"
        ? `more errors: ${(errors.difference * 100).toFixed(2)} points more units fail, at least ${(errors.interval.low * 100).toFixed(2)}`
        : null,
      harmed.length === 0
        ? null
        : `worse on ${harmed.map(({ statementId, change }) => `${statementId} (${percent(change ?? 0)})`).join(", ")}`,
      voids,
    ]),
  };
};

interface Arms {
  readonly control: readonly Block[];
  readonly treatment: readonly Block[];
}

const soundPairs = ({ control, treatment }: Arms): Arms => {
  const isSound = (_: Block, i: number): boolean =>
    control[i]?.voidReason === null && treatment[i]?.voidReason === null;
  return { control: control.filter(isSound), treatment: treatment.filter(isSound) };
};

/** Neighbours merged as windows are. */
const mergedPairs = ({ control, treatment }: Arms): Arms => {
  const by = mergedBy(control.length);
  return { control: mergeBlocks(control, by), treatment: mergeBlocks(treatment, by) };
};

/** Whether the server counted, of each of these statements and in each arm, about the calls that were recorded. */
const countsRecorded = (evidence: PageEvidence, ids: readonly string[]): boolean => {
  const counted = soundPairs(evidence);
  return armNames.every((arm) =>
    ids.every((id) => {
      const recorded = evidence.recorded[arm].get(id) ?? 0;
      return Math.abs(callsIn(counted[arm], id) - recorded) <= Math.max(otherCalls * recorded, Math.sqrt(recorded));
    }),
  );
};

interface Change {
  readonly change: number | null;
  readonly interval: Interval | null;
}

/** Calls in both arms together: one weight for both, so that no difference of the mix is taken for one of speed. */
const commonMix = (arms: Arms, ids: readonly string[]): Mix =>
  new Map(ids.map((id) => [id, callsIn(arms.control, id) + callsIn(arms.treatment, id)]));

/** ln(treatment / control) of a counter per call, from the windows' paired influences; null where there is nothing of it. */
const paired = (arms: Arms, mix: Mix, value: (of: StatementCounters) => number): Estimate | null => {
  const control = fixedMix(arms.control, mix, value);
  const treatment = fixedMix(arms.treatment, mix, value);
  if (control === null || treatment === null) return null;
  return pairedDifference(
    Math.log(treatment.time / control.time),
    treatment.influence.map((one, i) => one - (control.influence[i] ?? 0)),
    0,
    [...control.parts, ...treatment.parts],
  );
};

const ofEstimate = (estimate: Estimate | null, alpha: number): Change => ({
  change: estimate === null ? null : Math.expm1(estimate.value),
  interval: intervalOf(estimate, alpha),
});

/** Each arm's sequence of intervals at half of alpha; the ratio lies between their extremes. */
const p95 = (control: readonly LatencyHistogram[], treatment: readonly LatencyHistogram[], alpha: number): Change => {
  const [one, two] = [control, treatment].map((blocks) => sequentialQuantile(blocks, 0.95, 1 - alpha / 2));
  if (one === null || one === undefined || two === null || two === undefined) return { change: null, interval: null };
  return {
    change: two.estimate / one.estimate - 1,
    interval: { low: two.low / one.high - 1, high: two.high / one.low - 1, level: 1 - alpha },
  };
};

/** Time decides; pages decide where time is shown to be no worse (or no better) by more than the margin. */
const decide = (time: Interval | null, pagesRead: Interval | null, margin: number): Outcome => {
  const byTime = outcomeOf(time, margin);
  if (byTime !== "undecided" || time === null) return byTime;
  const byPages = outcomeOf(pagesRead, margin);
  if (byPages === "better" && time.high <= margin) return "better";
  if (byPages === "worse" && time.low >= -margin) return "worse";
  return "undecided";
};

const errorsOf = ({ control, treatment, treatmentShare, alpha }: ExperimentEvidence): ExperimentVerdict["errors"] => {
  if (control.units === null || treatment.units === null) return null;
  const counts = {
    units: control.units.all + treatment.units.all,
    treatmentShare,
    treatment: treatment.units.failed,
    control: control.units.failed,
  };
  const interval = { ...rateDifference(counts, 1 - alpha), level: 1 - alpha };
  return {
    difference:
      treatment.units.failed / Math.max(1, treatment.units.all) - control.units.failed / Math.max(1, control.units.all),
    interval,
    outcome:
      interval.low > errorMargin
        ? "worse"
        : interval.high < -errorMargin
          ? "better"
          : interval.high < errorMargin && interval.low > -errorMargin
            ? "equivalent"
            : "undecided",
  };
};

const unitsOf = ({ control, treatment, treatmentShare }: ExperimentEvidence): ExperimentVerdict["units"] =>
  control.units === null || treatment.units === null
    ? null
    : {
        control: control.units.all,
        treatment: treatment.units.all,
        splitPValue: sampleRatioPValue([treatment.units.all, control.units.all], [treatmentShare, 1 - treatmentShare]),
      };

const compareStatements = (
  arms: Arms,
  ids: readonly string[],
  alpha: number,
  margin: number,
): readonly ArmComparison[] => {
  const estimates = ids.map((id) =>
    [arms.control, arms.treatment].every((blocks) => blocksWith(blocks, id).length >= fewestBlocks)
      ? paired(arms, commonMix(arms, [id]), (of) => of.totalMs)
      : null,
  );
  const levels = holmLevels(
    estimates.map((estimate) => estimate?.anytimePValue ?? 1),
    alpha,
  );
  return ids.map((statementId, i) => {
    const { change, interval } = ofEstimate(estimates[i] ?? null, levels[i] ?? alpha);
    return {
      statementId,
      outcome: outcomeOf(interval, margin),
      controlMs: perCall(arms.control, statementId, (of) => of.totalMs),
      treatmentMs: perCall(arms.treatment, statementId, (of) => of.totalMs),
      controlCalls: callsIn(arms.control, statementId),
      treatmentCalls: callsIn(arms.treatment, statementId),
      change,
      interval,
    };
  });
};

const describe = (
  metric: ExperimentMetric,
  { change, interval }: Change,
  outcome: Outcome,
  byPages: boolean,
  margin: number,
): string => {
  const what = metric === "mean" ? "mean time per call" : "95th percentile of the time per call";
  if (change === null || interval === null) return `${what}: too few independent windows to say anything yet`;
  const shown = `${what} ${percent(change)} (${between(interval)})`;
  if (outcome === "undecided") return `${shown}: the interval is too wide to tell, more windows are needed`;
  return outcome === "equivalent" && !byPages ? `${shown}, within ±${share(margin)}` : shown;
};
