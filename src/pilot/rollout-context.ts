import type { Settings } from "../config/index.ts";
import type { RolloutContext } from "../rollout/index.ts";
import { acquireBuildLock } from "../safeguards/index.ts";
import { haltsFor } from "./halts.ts";
import { lockedOut } from "./leftovers.ts";
import { permitsFor } from "./permits.ts";
import type { ActingSessions, PilotContext } from "./target.ts";

/**
 * Takes the build lock, and puts together what changing the target needs: sessions, permits, and what ends an act that runs.
 * @throws IndexPilotError `refused` where another process has the lock
 */
export const openRollout = async (
  { observe, clock, signal }: PilotContext,
  { build, watch, store }: ActingSessions,
  actor: string,
  settings: Settings,
): Promise<RolloutContext> => {
  if ((await acquireBuildLock(build)) === null) throw lockedOut();
  return {
    build,
    watch,
    store,
    clock,
    actor,
    signal,
    permits: permitsFor({ build, observe, store, clock, approvedBy: actor, buildLockHeld: true, settings }),
    halts: haltsFor({ observe, store, clock, settings }),
    lockBudgetMs: settings.lockBudgetMs,
  };
};
