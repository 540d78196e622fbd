import type { Decision, Experiment, ExperimentVerdict } from "../domain/index.ts";
import { failure } from "../errors.ts";
import { loadParser } from "../sql/index.ts";
import type { Store } from "../store/index.ts";
import { evidenceOfWindows, judgeArms, type PageEvidence, type RecordedEvidence } from "../verification/index.ts";
import { pagesOf } from "./experiment-pages.ts";
import { type PilotContext, readStore, withWritableStore } from "./target.ts";

/** @throws IndexPilotError `experiment_invalid` where there is none */
export const experimentOf = async (store: Store, id: string): Promise<Experiment> => {
  const experiment = await store.experiments.get(id);
  if (experiment === null) throw failure("experiment_invalid", { problem: `there is no experiment ${id}` });
  return experiment;
};

/** An experiment with what it says so far, or was decided by. */
export interface AbResults {
  readonly experiment: Experiment;
  readonly verdict: ExperimentVerdict;
  /**
   * Whether nothing more is to be waited for: it is decided or has ended, its time is up, or what was seen so far ends it at the next look. A canary that is better
   * so far goes on to its next stage, and is not over.
   */
  readonly over: boolean;
  /** Of the statements, by fingerprint, for people: verb and tables. */
  readonly labels: Readonly<Record<string, string>>;
}

/** What was recorded, and the verdict over it. */
export const judgeRecorded = async (
  store: Store,
  experiment: Experiment,
  now: Date,
): Promise<{
  readonly evidence: RecordedEvidence;
  readonly pages: PageEvidence | null;
  readonly verdict: ExperimentVerdict;
}> => {
  const { blockMs, metric, alpha, margin, deciding, createdAt: from } = experiment;
  const { windows, voids } = await store.experiments.readWindows(experiment.id, { latencies: metric === "p95" });
  const evidence = evidenceOfWindows(windows, voids, blockMs, { from, now }, deciding);
  const { arms, treatmentShare } = evidence;
  const pages = await pagesOf(store, experiment, evidence);
  return { evidence, pages, verdict: judgeArms({ ...arms, treatmentShare, deciding, pages, metric, alpha, margin }) };
};

/** Of a canary that some tenants have, before it is decided. */
const notYet: ExperimentVerdict = {
  outcome: "undecided",
  change: null,
  interval: null,
  pages: null,
  errors: null,
  units: null,
  statements: [],
  soundBlocks: 0,
  voidBlocks: 0,
  reason: "judged before and after, from what the server counts, by whoever conducts it",
};

/** When the time of one that runs is over. It is that of the stages: what is built for it may have had to wait for a maintenance window. */
export const endOf = ({ stage, stageAt, maxMs }: Experiment, { arms }: RecordedEvidence): Date => {
  const [first] = arms.control.blocks;
  const begun = stage === 0 || first === undefined ? stageAt : first.startedAt;
  return new Date(begun.getTime() + maxMs);
};

const resultsOf = async (store: Store, experiment: Experiment, now: Date): Promise<AbResults> => {
  const { verdict, over } = await verdictNow(store, experiment, now);
  const statements = await store.observations.readStatements(verdict.statements.map(({ statementId }) => statementId));
  const labels = Object.fromEntries(statements.map(({ fingerprint, label }) => [fingerprint, label]));
  return { experiment, verdict, over, labels };
};

const verdictNow = async (
  store: Store,
  experiment: Experiment,
  now: Date,
): Promise<Pick<AbResults, "verdict" | "over">> => {
  if (experiment.verdict !== null) return { verdict: experiment.verdict, over: true };
  const { kind, state } = experiment;
  const isDecided = state !== "preparing" && state !== "running";
  if (experiment.exposure === "tenant") return { verdict: notYet, over: isDecided };
  const { evidence, verdict } = await judgeRecorded(store, experiment, now);
  const ends = verdict.outcome === "better" ? kind === "comparison" : verdict.outcome !== "undecided";
  const over = isDecided || (state === "running" && (ends || now >= endOf(experiment, evidence)));
  return { verdict, over };
};

/**
 * What an experiment says: at any time, as often as one likes. Reads only.
 * @throws IndexPilotError `experiment_invalid` where there is no such experiment, `store_missing`
 */
export const getAbResults = async (context: PilotContext, id: string): Promise<AbResults> => {
  await loadParser();
  const found = await readStore(context, async (store) =>
    resultsOf(store, await experimentOf(store, id), context.clock.now()),
  );
  if (found === null) throw failure("store_missing", {});
  return found;
};

/** Every experiment there was, oldest first. Reads only. */
export const listAbExperiments = async (context: PilotContext): Promise<readonly Experiment[]> =>
  (await readStore(context, (store) => store.experiments.list())) ?? [];

/**
 * Decides an experiment now, by what was seen; `conductExperiments` then removes what was built for it. Nobody's index is applied: a person who stops it has
 * seen the verdict.
 * @throws IndexPilotError `experiment_invalid` where there is no such experiment, or it was decided before
 */
export const endAbExperiment = (
  context: PilotContext,
  { id, actor, reason }: { readonly id: string; readonly actor: string; readonly reason: string },
): Promise<AbResults> =>
  withWritableStore(context, async (store) => {
    await loadParser();
    const now = context.clock.now();
    const { experiment, verdict, labels } = await resultsOf(store, await experimentOf(store, id), now);
    const isOpen = experiment.state === "preparing" || experiment.state === "running";
    const patch = { state: "removing", stageAt: now, endReason: reason, verdict } as const;
    const decision = decisionOn(experiment, now, {
      outcome: verdict.outcome,
      code: "stopped",
      reason: `${reason}, by ${actor}: ${verdict.reason}`,
      verdict,
    });
    const ended = isOpen ? await store.experiments.advance(experiment, patch, decision) : null;
    if (ended === null) {
      throw failure("experiment_invalid", { problem: `experiment ${String(experiment.number)} was decided before` });
    }
    return { experiment: ended, verdict, over: true, labels };
  });

/** What was decided about an experiment; `verdict`: what it was decided by. */
export interface ExperimentDecision {
  readonly outcome: string;
  readonly code: string;
  readonly reason: string;
  readonly verdict?: ExperimentVerdict;
  readonly inputs?: Readonly<Record<string, unknown>>;
}

/** The record of a decision about an experiment as it was then. */
export const decisionOn = (
  { id, exposure, table, control, treatment, alpha, margin, stages, stage }: Experiment,
  at: Date,
  { outcome, code, reason, verdict, inputs = {} }: ExperimentDecision,
): Decision => ({
  at,
  subject: "experiment",
  deploymentId: treatment.deploymentId,
  rule: verdict === undefined ? "pilot.conduct" : "verification.next_step",
  outcome,
  code,
  reason,
  inputs: {
    experiment: id,
    exposure,
    table,
    control: control.index,
    treatment: treatment.index,
    alpha,
    margin,
    share: stages[stage] ?? null,
    ...(verdict === undefined
      ? {}
      : { soundBlocks: verdict.soundBlocks, voidBlocks: verdict.voidBlocks, units: verdict.units }),
    ...inputs,
  },
});
