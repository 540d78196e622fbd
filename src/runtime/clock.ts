import { hrtime } from "node:process";

export interface Clock {
  now(): Date;
  /** Milliseconds from an arbitrary origin, never going back. */
  monotonicMs(this: void): number;
  /**
   * Resolves after `ms` by the stopwatch, or rejects with the signal's reason as soon as it is aborted.
   * @param idly whether the process may end meanwhile, where nothing else keeps it
   */
  sleep(ms: number, signal?: AbortSignal, idly?: boolean): Promise<void>;
  /** The same, until the calendar says `at`; at once where that is past. */
  sleepUntil(at: Date, signal?: AbortSignal): Promise<void>;
}

const sleep: Clock["sleep"] = (ms, signal, idly = false) =>
  new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason as Error);
      return;
    }
    const onAbort = (): void => {
      clearTimeout(timer);
      reject(signal?.reason as Error);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    }, ms);
    if (idly) timer.unref();
    signal?.addEventListener("abort", onAbort, { once: true });
  });

/**
 * Between two queries, where nothing is in the processor's caches, `performance.now` takes some half a microsecond, and this next to nothing. The global
 * `process` is a getter, and has to be found first.
 */
const monotonicMs = (): number => {
  const time = hrtime();
  return time[0] * 1e3 + time[1] / 1e6;
};

export const systemClock: Clock = {
  now: () => new Date(),
  monotonicMs,
  sleep,
  sleepUntil: (at, signal) => sleep(Math.max(0, at.getTime() - Date.now()), signal),
};

/**
 * A calendar that runs fast, for days of simulated life with a real server: dates, schedules and windows pass `factor` times as fast, while the stopwatch, and with
 * it whatever is done, polled and timed out, keeps to real time. Processes that are given the same numbers share one calendar.
 * @param start what the calendar shows when it begins
 * @param begun when that is, in real milliseconds since 1970
 */
export const acceleratedClock = (start: Date, begun: number, factor: number): Clock => {
  const now = (): number => start.getTime() + (Date.now() - begun) * factor;
  return {
    ...systemClock,
    now: () => new Date(now()),
    sleepUntil: (at, signal) => sleep(Math.ceil(Math.max(0, (at.getTime() - now()) / factor)), signal),
  };
};
