import { randomUUID } from "node:crypto";
import {
  type ArmCall,
  type Experiment,
  type ExperimentArm,
  type ExperimentMetric,
  type ExperimentUnit,
  type ExperimentVerdict,
  type TableName,
} from "../domain/index.ts";
import { failure } from "../errors.ts";
import { openSession, quoteName, readServerIdentity } from "../postgres/index.ts";
import { openStore, type Store } from "../store/index.ts";
import { ArmTally, evidenceOfWindows, judgeArms } from "../verification/index.ts";
import { keepGround, readGround } from "./experiment-ground.ts";
import { type PilotContext, readStore, withSession, withWritableStore } from "./target.ts";

export interface AbExperimentSpec {
  readonly table: TableName;
  /** What the treatment is compared with. */
  readonly control: ExperimentArm;
  readonly treatment: ExperimentArm;
  /** Share of the units that the treatment gets, between 0 and 1. Default 0.1. */
  readonly treatmentShare?: number;
  /** Default `transaction`. */
  readonly unit?: ExperimentUnit;
  /** Default `mean`. */
  readonly metric?: ExperimentMetric;
  /** Defaults are those of the settings. */
  readonly margin?: number;
  readonly alpha?: number;
  /** Length of one window of evidence. */
  readonly blockMs?: number;
  /** Default three days. */
  readonly maxMs?: number;
}

const threeDaysMs = 3 * 86_400_000;

/**
 * Lays an experiment down, before anything of it is seen. Builds nothing: the arms' indexes are a rollout's business.
 * @throws IndexPilotError `experiment_invalid`, also where another one runs on the table; as `openSession` and `openStore` do
 */
export const createAbExperiment = (context: PilotContext, spec: AbExperimentSpec): Promise<Experiment> =>
  withWritableStore(context, (store) =>
    withSession(openSession(context.observe, "observe"), async (session) => {
      const invalid = (problem: string): Error => failure("experiment_invalid", { problem });
      const { settings, clock } = context;
      const { table, treatmentShare = 0.1, alpha = settings.alpha, margin = settings.margin } = spec;
      if (!(treatmentShare > 0 && treatmentShare < 1)) throw invalid("the treatment's share is not between 0 and 1");
      if (!(alpha > 0 && alpha < 1)) throw invalid("alpha is not between 0 and 1");
      if (!(margin > 0 && margin < 1)) throw invalid("the margin is not between 0 and 1");
      if (spec.control.definition === spec.treatment.definition) throw invalid("both arms have the same index");
      const [found] = await session.query<{ oid: number }>(
        `select c.oid from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
          where n.nspname = $1 and c.relname = $2 and c.relkind in ('r', 'p')`,
        [table.schema, table.name],
      );
      if (found === undefined) throw invalid(`there is no table ${quoteName(table)}`);
      const experiment = await store.experiments.insert(
        {
          id: randomUUID(),
          table,
          tableOid: found.oid,
          control: spec.control,
          treatment: spec.treatment,
          treatmentShare,
          unit: spec.unit ?? "transaction",
          metric: spec.metric ?? "mean",
          margin,
          alpha,
          blockMs: spec.blockMs ?? settings.blockMs,
          maxMs: spec.maxMs ?? threeDaysMs,
          state: "running",
          createdAt: clock.now(),
          endedAt: null,
          endReason: null,
          verdict: null,
        },
        await readGround(session, found.oid),
      );
      if (experiment === null) throw invalid(`another experiment runs on ${quoteName(table)}`);
      return experiment;
    }),
  );

/** Adds up what an application sees of an experiment, and hands it over window by window. */
export interface AbRecorder {
  readonly experiment: Experiment;
  record(call: ArmCall): void;
  /** Hands over the windows that are over, and looks whether the arms still stand on what they stood on. */
  flush(): Promise<void>;
  /** Hands over everything, and closes its sessions. */
  close(): Promise<void>;
}

/**
 * Opens a recorder for one process; several may record the same experiment. Flush it about once per window.
 * @throws IndexPilotError `experiment_invalid` where there is no such experiment, `store_missing`; as `openSession` does
 */
export const openAbRecorder = async (context: PilotContext, id: string): Promise<AbRecorder> => {
  const observe = await openSession(context.observe, "observe");
  const session = await openSession(context.build, "store");
  const closeSessions = async (): Promise<void> => {
    await Promise.all([observe.close(), session.close()]);
  };
  try {
    const { clock } = context;
    const server = await readServerIdentity(session);
    const store = await openStore(session, { create: false, server, now: clock.now() });
    if (store === null) throw failure("store_missing", {});
    const experiment = await known(store, id);
    const tally = new ArmTally(experiment.blockMs);
    const handOver = async (before: Date | null): Promise<void> => {
      await keepGround(observe, store, experiment, clock.now());
      await store.experiments.add(id, tally.take(before));
    };
    return {
      experiment,
      record: (call) => {
        tally.add(call);
      },
      flush: () => handOver(clock.now()),
      close: async () => {
        try {
          await handOver(null);
        } finally {
          await closeSessions();
        }
      },
    };
  } catch (error) {
    await closeSessions();
    throw error;
  }
};

/** Takes note of one call, in memory. */
export const recordAbResult = (recorder: AbRecorder, call: ArmCall): void => {
  recorder.record(call);
};

const known = async (store: Store, id: string): Promise<Experiment> => {
  const experiment = await store.experiments.get(id);
  if (experiment === null) throw failure("experiment_invalid", { problem: `there is no experiment ${id}` });
  return experiment;
};

/** An experiment with what it says so far, or said when it ended. */
export interface AbResults {
  readonly experiment: Experiment;
  readonly verdict: ExperimentVerdict;
  /** Whether nothing more is to be waited for: it is decided, or its time is up. */
  readonly over: boolean;
}

const resultsOf = async (store: Store, experiment: Experiment, now: Date): Promise<AbResults> => {
  if (experiment.verdict !== null) return { experiment, verdict: experiment.verdict, over: true };
  const { windows, voids } = await store.experiments.readWindows(experiment.id);
  const { blockMs, treatmentShare, metric, alpha, margin, createdAt, maxMs } = experiment;
  const evidence = evidenceOfWindows(windows, voids, blockMs, now);
  const verdict = judgeArms({ ...evidence, treatmentShare, metric, alpha, margin });
  const over = verdict.outcome !== "undecided" || now.getTime() >= createdAt.getTime() + maxMs;
  return { experiment, verdict, over };
};

/**
 * What an experiment says: at any time, as often as one likes. Reads only.
 * @throws IndexPilotError `experiment_invalid` where there is no such experiment, `store_missing`
 */
export const getAbResults = async (context: PilotContext, id: string): Promise<AbResults> => {
  const found = await readStore(context, async (store) =>
    resultsOf(store, await known(store, id), context.clock.now()),
  );
  if (found === null) throw failure("store_missing", {});
  return found;
};

/** Every experiment there was, oldest first. Reads only. */
export const listAbExperiments = async (context: PilotContext): Promise<readonly Experiment[]> =>
  (await readStore(context, (store) => store.experiments.list())) ?? [];

/**
 * Ends an experiment with the verdict of what was seen: `decided` where that decides, else `stopped`. Recorders that are still open add nothing more.
 * Indexes are left alone.
 * @throws IndexPilotError `experiment_invalid` where there is no such experiment, or it has ended
 */
export const endAbExperiment = (
  context: PilotContext,
  { id, actor, reason }: { readonly id: string; readonly actor: string; readonly reason: string },
): Promise<AbResults> =>
  withWritableStore(context, async (store) => {
    const now = context.clock.now();
    const { experiment, verdict } = await resultsOf(store, await known(store, id), now);
    const state = verdict.outcome === "undecided" ? "stopped" : "decided";
    const ended =
      experiment.state === "running" ? await store.experiments.end(id, { state, at: now, reason, verdict }) : null;
    if (ended === null) throw failure("experiment_invalid", { problem: `experiment ${id} has ended already` });
    await store.decisions.record({
      at: now,
      subject: "experiment",
      deploymentId: null,
      rule: "verification.judge_arms",
      outcome: verdict.outcome,
      code: verdict.outcome,
      reason: `${reason}, by ${actor}: ${verdict.reason}`,
      inputs: {
        experiment: id,
        table: experiment.table,
        control: experiment.control.definition,
        treatment: experiment.treatment.definition,
        alpha: experiment.alpha,
        margin: experiment.margin,
        soundBlocks: verdict.soundBlocks,
        voidBlocks: verdict.voidBlocks,
        units: verdict.units,
      },
    });
    return { experiment: ended, verdict, over: true };
  });
