import type { Objection } from "../domain/index.ts";
import { IndexPilotError } from "../errors.ts";
import { openSession, type Session, SqlState, sqlStateOf } from "../postgres/index.ts";
import type { Clock } from "../runtime/index.ts";
import { cancelBackend, readWatched, type Watched } from "./statements.ts";

/** How often we look while nobody waits. */
const POLL_MS = 100;
/** Between two looks at somebody who has almost waited for as long as he may. */
const SHORTEST_MS = 5;

/**
 * When to look again: at the usual interval, or when the one who waits will have waited for as long as he may. So nobody waits longer than the lock budget and
 * the time a cancel takes, which has the rest of the interval.
 */
export const nextLookMs = (watched: Watched | null, lockBudgetMs: number): number => {
  const waitedMs = watched?.victim?.waitedMs ?? 0;
  return Math.max(SHORTEST_MS, Math.min(POLL_MS, lockBudgetMs - waitedMs));
};

/** How a statement under watch ended. */
export type Ended =
  | { readonly kind: "done" }
  | { readonly kind: "cancelled"; readonly because: "signal" | "patience" }
  | {
      readonly kind: "cancelled";
      readonly because: "lock_budget";
      readonly victim: { readonly pid: number; readonly waitedMs: number };
    }
  | { readonly kind: "cancelled"; readonly because: "halt"; readonly objection: Objection }
  /** `sqlState` is null when the connection was lost: the statement may go on without us. */
  | { readonly kind: "failed"; readonly sqlState: string | null; readonly error: unknown };

/** Eyes on a backend that survive the loss of their own connection. */
export interface Watcher {
  /** Null when nothing could be seen this time. */
  look(pid: number): Promise<Watched | null>;
  cancel(pid: number): Promise<void>;
  close(): Promise<void>;
}

export const watcherOver = (session: Session): Watcher => {
  let current = session;
  // A look that fails says nothing about the build: look again at the next interval, over a new connection if the old one is gone.
  const attempt = async <T>(work: (over: Session) => Promise<T>): Promise<T | null> => {
    try {
      return await work(current);
    } catch (error) {
      const state = sqlStateOf(error);
      if (state === SqlState.queryCanceled || state === SqlState.lockNotAvailable) return null;
      if (!(error instanceof IndexPilotError)) throw error;
    }
    try {
      const fresh = await openSession(session.target, "watch");
      if (current !== session) await current.close();
      current = fresh;
    } catch (error) {
      if (!(error instanceof IndexPilotError)) throw error;
    }
    return null;
  };
  return {
    look: (pid) => attempt((over) => readWatched(over, pid)),
    cancel: async (pid) => {
      await attempt((over) => cancelBackend(over, pid));
    },
    close: async () => {
      if (current !== session) await current.close();
    },
  };
};

export interface WatchedStatement {
  readonly sql: string;
  readonly build: Session;
  readonly watch: Session;
  readonly clock: Clock;
  /** What it may make one other session wait, milliseconds. */
  readonly lockBudgetMs: number;
  readonly signal?: AbortSignal | undefined;
  /** Whether a safeguard wants it to end. */
  readonly halts?: (() => Promise<Objection | null>) | undefined;
  /** How long it may take in all, milliseconds. */
  readonly patienceMs?: number;
  readonly onLook?: (watched: Watched) => void | Promise<void>;
}

/**
 * Runs one concurrent DDL statement and looks after those it makes wait: they count, our statement does not. Cancelled deliberately, because a
 * short `lock_timeout` would kill it for waiting for others, which harms nobody.
 */
export const runWatched = async (order: WatchedStatement): Promise<Ended> => {
  const { build, clock, signal, onLook } = order;
  const watcher = watcherOver(order.watch);
  const started = clock.monotonicMs();
  const finished = new AbortController();
  const attempt = async (): Promise<Ended> => {
    try {
      await build.query(order.sql);
      return { kind: "done" };
    } catch (error) {
      return { kind: "failed", sqlState: sqlStateOf(error), error };
    } finally {
      finished.abort();
    }
  };
  const statement = attempt();
  const wake = signal === undefined ? finished.signal : AbortSignal.any([finished.signal, signal]);
  let stop: Extract<Ended, { kind: "cancelled" }> | null = null;
  try {
    while (!finished.signal.aborted) {
      let watched: Watched | null = null;
      if (stop === null) {
        watched = await watcher.look(build.pid);
        if (watched !== null) await onLook?.(watched);
        stop = reasonToStop(order, watched, (await order.halts?.()) ?? null, clock.monotonicMs() - started);
      }
      if (stop !== null && !finished.signal.aborted) await watcher.cancel(build.pid);
      // Once we have asked it to stop, the caller's signal has nothing more to say.
      const pauseMs = nextLookMs(watched, order.lockBudgetMs);
      await clock.sleep(pauseMs, stop === null ? wake : finished.signal).catch(() => undefined);
    }
  } finally {
    await statement;
    await watcher.close();
  }
  const result = await statement;
  return stop !== null && result.kind === "failed" && result.sqlState === SqlState.queryCanceled ? stop : result;
};

const reasonToStop = (
  order: WatchedStatement,
  watched: Watched | null,
  objection: Objection | null,
  elapsedMs: number,
): Extract<Ended, { kind: "cancelled" }> | null => {
  if (order.signal?.aborted === true) return { kind: "cancelled", because: "signal" };
  const victim = watched?.victim ?? null;
  if (victim !== null && victim.waitedMs >= order.lockBudgetMs) {
    return { kind: "cancelled", because: "lock_budget", victim };
  }
  if (objection !== null) return { kind: "cancelled", because: "halt", objection };
  if (order.patienceMs !== undefined && elapsedMs > order.patienceMs) return { kind: "cancelled", because: "patience" };
  return null;
};
