import type { Clock, Random } from "../runtime/index.ts";
import type { Store } from "../store/index.ts";
import type { Log } from "./log.ts";
import { retellAt } from "./schedule.ts";
import type { Webhook } from "./webhook.ts";

/** How soon what was recorded is told. */
const LOOK_MS = 1_000;
/** Of the most that are posted before new ones are collected. */
const BATCH = 50;

export interface Telling {
  readonly target: string;
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly webhook: Webhook | null;
  readonly signal: AbortSignal;
}

const isGrave = (outcome: string): boolean => ["failed", "refused", "open", "warned"].includes(outcome);

/** Tells the log what was recorded since the last time, and the webhook what waits. */
export const tellOnce = async ({ target, store, clock, random, log, webhook, signal }: Telling): Promise<void> => {
  for (const { at, ...notice } of await store.notices.collect(clock.now(), webhook !== null)) {
    log({
      level: isGrave(notice.outcome) ? "warn" : "info",
      event: notice.kind,
      text: `${notice.subject}: ${notice.outcome}${notice.reason === "" ? "" : `: ${notice.reason}`}`,
      target,
      at: at.toISOString(),
      ...notice,
    });
  }
  if (webhook === null) return;
  for (const { notice, attempts } of await store.notices.due(clock.now(), BATCH)) {
    if (signal.aborted) return;
    const posted = await webhook.post(target, notice);
    if (posted.kind === "taken") await store.notices.delivered(notice.key, clock.now());
    else {
      const retryAt = retellAt(clock.now(), attempts + 1, random);
      await store.notices.failed(notice.key, posted.error, retryAt);
      log({
        level: "warn",
        event: "webhook",
        text: `the webhook did not take ${notice.key}: ${posted.error}; again at ${retryAt.toISOString()}`,
        target,
      });
      // Who did not take this one will not take the next one now.
      return;
    }
  }
};

/** Tells until the signal; then once more, so that what ended last is told, too. @throws IndexPilotError `connection_lost` */
export const tell = async (telling: Telling): Promise<void> => {
  const { clock, signal } = telling;
  for (;;) {
    await tellOnce(telling);
    if (signal.aborted) return;
    await clock.sleep(LOOK_MS, signal).catch(() => undefined);
  }
};
