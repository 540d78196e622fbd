import type { Random } from "../runtime/index.ts";
import type { DutyRecord } from "../store/index.ts";

const SECOND = 1_000;
/** Longer than a restart of the server takes, shorter than anybody waits for a sign of life. */
const LONGEST_RECONNECT_MS = 30 * SECOND;
const LONGEST_FAILING_MS = 3_600 * SECOND;
/** Within which what is overdue at a start is spread. */
const SPREAD_MS = 10 * SECOND;

const later = (now: Date, ms: number): Date => new Date(now.getTime() + ms);

/** Doubles with each failure in a row from one second on; between half and all of it, so that many do not come back in step. */
const backoff = (failures: number, longestMs: number, random: Random): number =>
  Math.min(longestMs, SECOND * 2 ** Math.min(failures - 1, 30)) * (0.5 + 0.5 * random());

/** How long to wait before the next attempt to connect. */
export const reconnectMs = (failures: number, random: Random): number =>
  backoff(failures, LONGEST_RECONNECT_MS, random);

/** When a duty is due again: after its interval, give or take a tenth; after failures in seconds at first, in the end once an hour. */
export const nextDue = (now: Date, everyMs: number, failures: number, random: Random): Date =>
  failures === 0
    ? later(now, everyMs * (0.9 + 0.2 * random()))
    : later(now, backoff(failures + 3, LONGEST_FAILING_MS, random));

/** When a duty is due first after a start: when it was due anyway; what is overdue, or new, soon, but not everything at once. */
export const firstDue = (known: DutyRecord | undefined, now: Date, everyMs: number, random: Random): Date => {
  const soon = later(now, Math.min(SPREAD_MS, everyMs / 10) * random());
  if (known === undefined || known.dueAt <= now) return soon;
  // Somebody may have shortened the interval meanwhile.
  return new Date(Math.min(known.dueAt.getTime(), later(now, everyMs * 1.1).getTime()));
};

/** When a notice that was not taken is posted again. */
export const retellAt = (now: Date, attempts: number, random: Random): Date =>
  later(now, backoff(attempts, LONGEST_FAILING_MS, random));
