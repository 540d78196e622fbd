import type { ArmCall, ArmWindow, Experiment } from "../domain/index.ts";
import { failure } from "../errors.ts";
import { openSession, readServerIdentity } from "../postgres/index.ts";
import { openStore } from "../store/index.ts";
import { ArmTally } from "../verification/index.ts";
import { experimentOf } from "./experiment-results.ts";
import type { PilotContext } from "./target.ts";

/** Adds up what an application sees of an experiment, and hands it over window by window. */
export interface AbRecorder {
  readonly experiment: Experiment;
  /** As {@link recordAbResult}. */
  record(call: ArmCall): void;
  /** Hands over the windows that are over; what could not be handed over is, the next time. */
  flush(): Promise<void>;
  /** Hands over everything, and closes its session. */
  close(): Promise<void>;
}

/** So far the clock of whoever measured may be ahead. */
const CLOCK_AHEAD_MS = 60_000;

/** One wrong number would spoil the sums of its window, and a wrong date their number. @throws IndexPilotError `call_invalid` */
const requireSane = ({ at, timeMs, rows, share }: ArmCall, from: Date, now: Date): void => {
  const refuse = (problem: string): never => {
    throw failure("call_invalid", { problem });
  };
  if (!(timeMs >= 0 && Number.isFinite(timeMs))) refuse(`timeMs is ${String(timeMs)}`);
  if (rows !== null && !(rows >= 0 && Number.isFinite(rows))) refuse(`rows is ${String(rows)}`);
  if (!(share > 0 && share <= 1)) refuse(`share is ${String(share)}`);
  const time = at.getTime();
  if (Number.isNaN(time)) refuse("at is no date");
  if (time < from.getTime()) refuse(`at is ${at.toISOString()}, before the experiment was laid down`);
  if (time > now.getTime() + CLOCK_AHEAD_MS) refuse(`at is ${at.toISOString()}, which is yet to come`);
};

/**
 * Opens a recorder for an application that measures by itself; several may record the same experiment. Flush it about once per window. With the driver hook,
 * `followExperiments` does all that.
 * @throws IndexPilotError `experiment_invalid` where there is no such experiment, `store_missing`; as `openSession` does
 */
export const openAbRecorder = async (context: PilotContext, id: string): Promise<AbRecorder> => {
  const session = await openSession(context.build, "store");
  try {
    const { clock } = context;
    const server = await readServerIdentity(session);
    const store = await openStore(session, { create: false, server, now: clock.now() });
    if (store === null) throw failure("store_missing", {});
    const experiment = await experimentOf(store, id);
    const tally = new ArmTally(experiment.blockMs);
    const add = (windows: readonly ArmWindow[]): Promise<void> => store.experiments.add(id, windows);
    return {
      experiment,
      record: (call) => {
        requireSane(call, experiment.createdAt, clock.now());
        tally.add(call);
      },
      flush: () => tally.handOver(clock.now(), add),
      close: async () => {
        try {
          await tally.handOver(null, add);
        } finally {
          await session.close();
        }
      },
    };
  } catch (error) {
    await session.close();
    throw error;
  }
};

/**
 * Takes note of one call, in memory.
 * @throws IndexPilotError `call_invalid` where a number or the date of the call cannot be; nothing of it is taken note of
 */
export const recordAbResult = (recorder: AbRecorder, call: ArmCall): void => {
  recorder.record(call);
};
