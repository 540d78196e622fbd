import type { Settings } from "../config/index.ts";
import type { HaltSource, Objection } from "../domain/index.ts";
import { IndexPilotError } from "../errors.ts";
import { type ConnectionTarget, openSession, sqlStateOf } from "../postgres/index.ts";
import type { Clock } from "../runtime/index.ts";
import { haltRunning, limitsOf, readReplicationLag } from "../safeguards/index.ts";
import type { Store } from "../store/index.ts";
import { sampleLoad } from "./load.ts";
import { withSession } from "./target.ts";

interface HaltWiring {
  readonly observe: ConnectionTarget;
  readonly store: Store;
  readonly clock: Clock;
  readonly settings: Settings;
}

/** Load and lag need a connection of their own, each time. */
const SURROUNDINGS_MS = 2_000;
/** Who has not asked for so long asks about another act. */
const FORGET_MS = 1_000;

/** The last two answers of something that is asked in the background, at most one question at a time; null where it has not answered. */
const following = <T>(clock: Clock, everyMs: number, ask: () => Promise<T>): (() => readonly [T | null, T | null]) => {
  let [latest, before]: [T | null, T | null] = [null, null];
  let asking = false;
  let begunAt = Number.NEGATIVE_INFINITY;
  let seenAt = Number.NEGATIVE_INFINITY;
  const refresh = async (): Promise<void> => {
    try {
      [latest, before] = [await ask(), latest];
    } catch (error) {
      // Who cannot be asked has nothing against it: the watcher goes on looking after those who wait.
      if (!(error instanceof IndexPilotError) && sqlStateOf(error) === null) throw error;
    } finally {
      asking = false;
    }
  };
  return () => {
    const now = clock.monotonicMs();
    if (now - seenAt > FORGET_MS) [latest, before] = [null, null];
    seenAt = now;
    if (!asking && now - begunAt >= everyMs) {
      asking = true;
      begunAt = now;
      void refresh();
    }
    return [latest, before];
  };
};

/**
 * Asks the safeguards about an act that is under way. Answers at once with what is known, and finds out in the background: the watcher must not wait.
 * One look at load or lag may be an accident; two in a row are not.
 */
export const haltsFor = ({ observe, store, clock, settings }: HaltWiring): HaltSource => {
  const limits = limitsOf(settings);
  const stop = following(clock, 0, () => store.stop.get());
  const surroundings = following(clock, SURROUNDINGS_MS, () =>
    withSession(openSession(observe, "observe"), async (session) => ({
      load: await sampleLoad(session, store, { clock, settings }),
      replication: await readReplicationLag(session),
    })),
  );
  return (act) => {
    const now = clock.now();
    const [stopped] = stop();
    const [latest, before] = surroundings();
    const of = (seen: typeof latest): Objection | null =>
      haltRunning({ act, stop: stopped, surroundings: seen, limits, now });
    return Promise.resolve(of(null) ?? (of(before) === null ? null : of(latest)));
  };
};
