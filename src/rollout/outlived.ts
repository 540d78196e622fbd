import type { Deployment } from "../domain/index.ts";
import { failure } from "../errors.ts";
import type { Session } from "../postgres/index.ts";
import { buildActOf, lockBudgetOf, type RolloutContext } from "./context.ts";
import { type Backend, cancelBackend, readBackendActivity, type Watched } from "./statements.ts";
import { nextLookMs, watcherOver } from "./watched.ts";

/** How to wait for a build that goes on without the process that began it. */
export interface WaitOptions extends RolloutContext {
  /** How long to wait for a build that goes on, milliseconds. */
  readonly waitMs?: number;
  /** Told once per build that is waited for. */
  readonly onWaiting?: (deployment: Deployment) => void;
}

/** A concurrent build of a large table takes minutes; one that takes longer is adopted at the next start. */
const DEFAULT_WAIT_MS = 600_000;
/** An idle backend belongs to a process between two statements, or to one that died and whose connection the server has not missed yet. */
const IDLE_MS = 5_000;

/** Whether the recorded backend of a deployment still builds. */
export const isBuilding = async (session: Session, { backend }: Deployment): Promise<boolean> =>
  backend !== null && (await readBackendActivity(session, backend)) === "active";

/** Cancels a build that outlived its process; the next start removes what it leaves. Needs the role that began it. */
export const cancelRecorded = async (session: Session, deployment: Deployment): Promise<void> => {
  if (deployment.backend !== null && (await isBuilding(session, deployment))) {
    await cancelBackend(session, deployment.backend.pid);
  }
};

type Waited = "ended" | "still_running" | "handled_elsewhere";

/** Waits for the backend of a build to end, looking after those it makes wait as its own process would. */
export const waitForBackend = async (
  options: WaitOptions,
  deployment: Deployment,
  backend: Backend,
  onLook: (watched: Watched) => Promise<void>,
): Promise<Waited> => {
  const { build, clock, store, signal } = options;
  // Our own session cannot be busy with it.
  if (backend.pid === build.pid) return "ended";
  const watcher = watcherOver(options.watch);
  const started = clock.monotonicMs();
  let lastActive: number | null = null;
  try {
    for (;;) {
      const activity = await readBackendActivity(build, backend);
      if (activity === "gone") return "ended";
      if (lastActive === null) options.onWaiting?.(deployment);
      const now = clock.monotonicMs();
      if (activity === "active" || lastActive === null) lastActive = now;
      if ((await store.deployments.get(deployment.id))?.state !== "building") return "handled_elsewhere";
      if (now - lastActive > IDLE_MS) return "ended";
      if (now - started > (options.waitMs ?? DEFAULT_WAIT_MS)) return "still_running";
      const watched = activity === "active" ? await watcher.look(backend.pid) : null;
      if (watched !== null) await onLook(watched);
      const victim = watched?.victim ?? null;
      const inTheWay = victim !== null && victim.waitedMs >= lockBudgetOf(options);
      const halted = activity === "active" && ((await options.halts?.(buildActOf(deployment))) ?? null) !== null;
      if (inTheWay || halted) await watcher.cancel(backend.pid);
      if (signal?.aborted === true) throw failure("interrupted", {});
      await clock.sleep(nextLookMs(watched, lockBudgetOf(options)), signal).catch(() => undefined);
    }
  } finally {
    await watcher.close();
  }
};
