import { failure } from "../errors.ts";
import type { PilotContext } from "../pilot/index.ts";
import type { Clock, Random } from "../runtime/index.ts";
import type { Log } from "./log.ts";
import type { Standing } from "./standing.ts";
import { steer } from "./steer.ts";
import type { Webhook } from "./webhook.ts";

/** One database to steer. */
export interface SteeredTarget {
  readonly name: string;
  readonly pilot: Omit<PilotContext, "signal" | "drain" | "emit">;
}

export interface DaemonOptions {
  readonly targets: readonly SteeredTarget[];
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly webhook: Webhook | null;
  /** The first signal: begin nothing more, let a running build go on for `stopGraceMs`, give the leadership back, end. */
  readonly drain: AbortSignal;
  readonly stopGraceMs: number;
  /** Given the standings before anything begins; they change as it goes on. */
  readonly onStart?: (standings: readonly Standing[]) => Promise<void>;
}

/** Runs works one after the other, whoever asks: an analysis takes a processor for itself. */
const turns = (): (<T>(work: () => Promise<T>) => Promise<T>) => {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const mine = last.then(work, work);
    last = mine.catch(() => undefined);
    return mine;
  };
};

/**
 * Steers all targets until the drain. What is wrong with one is no reason to leave the others.
 * @throws what only a person can mend, where there is one target and it never worked; faults of the program, once no target is left
 */
export const runDaemon = async (options: DaemonOptions): Promise<void> => {
  const { targets, clock, random, log, webhook, drain, stopGraceMs } = options;
  const standings = targets.map(({ name, pilot }): Standing => ({
    target: name,
    database: pilot.observe.database,
    role: "connecting",
    since: clock.now(),
    beatMs: clock.monotonicMs(),
    error: null,
    duty: null,
    stopped: false,
    waitingForApproval: 0,
    openVerdicts: 0,
    untold: 0,
    duties: new Map(),
  }));
  await options.onStart?.(standings);
  const cut = new AbortController();
  const over = new AbortController();
  const onDrain = async (): Promise<void> => {
    log({ level: "info", event: "drain", text: "ending; what runs may go on for a moment" });
    await clock.sleep(stopGraceMs, over.signal).catch(() => undefined);
    cut.abort(failure("interrupted", {}));
  };
  const draining = new Promise<void>((resolve) => {
    const begin = (): void => {
      void onDrain().then(resolve);
    };
    if (drain.aborted) begin();
    else {
      drain.addEventListener("abort", begin, { once: true });
      over.signal.addEventListener("abort", () => resolve(), { once: true });
    }
  });
  const inTurn = turns();
  const ended = await Promise.allSettled(
    targets.map(async ({ name, pilot }, at) => {
      const standing = standings[at];
      if (standing === undefined) throw new Error("a target without a standing");
      try {
        await steer({
          pilot: { ...pilot, signal: cut.signal, drain, emit: () => undefined },
          standing,
          random,
          log,
          webhook,
          inTurn,
          strict: targets.length === 1,
        });
      } catch (error) {
        standing.role = "resting";
        standing.error = { code: "internal", message: String(error), remedy: "please report this as a bug" };
        const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
        log({ level: "error", event: "bug", text: `nothing is done here any more: ${text}`, target: name });
        throw error;
      }
    }),
  );
  over.abort(failure("interrupted", {}));
  await draining;
  for (const one of ended) if (one.status === "rejected") throw one.reason;
};
