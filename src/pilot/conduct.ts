import { type Experiment, shareOf } from "../domain/index.ts";
import { ExitCode, IndexPilotError } from "../errors.ts";
import { openSession, type Session } from "../postgres/index.ts";
import { loadParser } from "../sql/index.ts";
import { AGAIN_MS, type Conducted, type Conducting } from "./conducting.ts";
import { conductOne } from "./experiment-step.ts";
import { type AbResults, getAbResults } from "./experiment-results.ts";
import { takeUpLeftovers } from "./leftovers.ts";
import { openBlocks } from "./observe.ts";
import { saveBlock } from "./record.ts";
import type { Actor, Rollout } from "./rollout-context.ts";
import { breakable, ownRoles, type PilotContext, readStore, withSession } from "./target.ts";
import { withRollout } from "./verify.ts";

/** Between two looks, at the most. */
const LOOK_MS = 1_000;
/** Another process changes indexes: ask again. */
const LOCKED_OUT_MS = 2_000;

/**
 * Conducts every open experiment, step by step, until all have ended or the time is up: builds the arms' indexes behind their gates, makes sure that the gates
 * are closed, lets the application's processes draw, judges again and again, gives the winner's index to everybody, and removes what was built for the
 * experiment. Each step is recorded before the next; whoever calls this next goes on where a killed process ended. What goes wrong with one experiment is said of it, and
 * the others are conducted.
 * @throws IndexPilotError `store_missing`, `refused` where another process changes indexes, `connection_lost`; what went wrong, where nothing else was to be conducted
 */
export const conductExperiments = (
  context: PilotContext,
  options: { readonly actor: Actor; readonly waitMs: number },
): Promise<readonly Conducted[]> =>
  withRollout(context, options.actor, async (rollout) => {
    await takeUpLeftovers(rollout, context.emit);
    return withSession(openSession(context.observe, "observe"), (session) =>
      conduct(context, rollout, session, options.waitMs),
    );
  });

/**
 * Conducts until that experiment has ended, or the time is up. While another process changes indexes it waits: that one may conduct it, or be done before the time is.
 * @returns how it stands then
 * @throws IndexPilotError `experiment_invalid` where there is no such experiment, `store_missing`, `connection_lost`
 */
export const conductExperiment = async (
  context: PilotContext,
  id: string,
  { actor, waitMs }: { readonly actor: Actor; readonly waitMs: number },
): Promise<AbResults> => {
  const { clock } = context;
  const deadline = clock.monotonicMs() + waitMs;
  for (;;) {
    const leftMs = Math.max(0, deadline - clock.monotonicMs());
    try {
      await conductExperiments(context, { actor, waitMs: leftMs });
      return await getAbResults(context, id);
    } catch (error) {
      if (!(error instanceof IndexPilotError) || error.code !== "refused") throw error;
    }
    const known = await readStore(context, (store) => store.experiments.get(id));
    if (leftMs === 0 || known?.endedAt !== null) return getAbResults(context, id);
    await clock.sleep(Math.min(LOCKED_OUT_MS, leftMs), breakable(context).signal);
  }
};

/** The same for whoever holds a rollout, and has taken up what was left over. */
export const conduct = async (
  context: PilotContext,
  rollout: Rollout,
  /** Observes the target. */
  session: Session,
  waitMs: number,
): Promise<readonly Conducted[]> => {
  await loadParser();
  const { clock, settings } = context;
  const { experiments } = rollout.store;
  const conducting: Conducting = {
    context,
    rollout,
    session,
    notBefore: new Map(),
    told: new Map(),
    judged: new Map(),
    failed: new Map(),
  };
  const conducted = new Map<string, Conducted>();
  const deadline = clock.monotonicMs() + waitMs;
  const observe = observer(conducting);
  for (;;) {
    for (const experiment of await experiments.open()) {
      breakable(context).signal.throwIfAborted();
      const stopped = await rollout.store.stop.get();
      const one =
        stopped === null
          ? await attend(conducting, experiment)
          : { experiment, reason: `${stopped.stoppedBy} stopped everything: no gate is stated` };
      conducted.set(experiment.id, one);
      tell(conducting, one);
    }
    const [problem] = conducting.failed.values();
    if (problem !== undefined && conducting.failed.size === conducted.size) throw problem.error;
    if ((await experiments.open()).length === 0 || clock.monotonicMs() >= deadline) return [...conducted.values()];
    await observe();
    await clock.sleep(Math.min(LOOK_MS, settings.blockMs), breakable(context).signal);
  }
};

/** Observes what the server counts, a block at a time, between the looks at experiments: what writes are judged by. */
const observer = ({ context, rollout, session }: Conducting): (() => Promise<void>) => {
  const { settings, clock } = context;
  let next: Awaited<ReturnType<typeof openBlocks>> | null = null;
  let due = Number.NEGATIVE_INFINITY;
  return async () => {
    if (clock.monotonicMs() < due) return;
    due = clock.monotonicMs() + settings.blockMs;
    try {
      if (next === null) {
        next = await openBlocks(session, ownRoles(context));
        return;
      }
      const { block, snapshot } = await next();
      await saveBlock(rollout.store, block, snapshot);
    } catch (error) {
      if (!(error instanceof IndexPilotError) || error.code !== "extension_missing") throw error;
      due = Number.POSITIVE_INFINITY;
    }
  };
};

/** Each step is a remark of its own; what is seen in between moves on in place. */
const tell = ({ context, told }: Conducting, { experiment, reason }: Conducted): void => {
  const { id, number, state, stage, stages } = experiment;
  const share = state === "running" ? ` at ${(shareOf(experiment) * 100).toFixed(0)} %` : "";
  const text = `experiment ${String(number)}: ${state}${share}, ${reason}`;
  const step = `${state} ${String(stage)}`;
  if (told.get(id) !== step) context.emit({ kind: "note", text });
  else context.emit({ kind: "progress", share: state === "running" ? stage / stages.length : null, text });
  told.set(id, step);
};

/** One look at an experiment. What goes wrong with it is no reason to leave the others alone; without a connection nothing can be done for any. */
const attend = async (conducting: Conducting, experiment: Experiment): Promise<Conducted> => {
  const { context, rollout, failed } = conducting;
  const { store, clock } = rollout;
  const { id } = experiment;
  const saying = (error: unknown): Conducted => {
    const problem = error instanceof Error ? error.message : String(error);
    return { experiment, reason: `something went wrong: ${problem}`, failed: true };
  };
  const before = failed.get(id);
  if (before !== undefined && clock.now().getTime() < before.againMs) return saying(before.error);
  try {
    const one = await conductOne(conducting, experiment);
    await store.experiments.attend(id);
    failed.delete(id);
    return one;
  } catch (error) {
    const isLost = error instanceof IndexPilotError && error.exitCode === ExitCode.connection;
    if (isLost || breakable(context).signal.aborted) throw error;
    failed.set(id, { error, againMs: clock.now().getTime() + AGAIN_MS });
    return saying(error);
  }
};
