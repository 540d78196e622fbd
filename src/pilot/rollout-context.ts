import type { Settings } from "../config/index.ts";
import type { Deployment, Objection, PermittedAct } from "../domain/index.ts";
import type { BuildOutcome, RolloutContext } from "../rollout/index.ts";
import { acquireBuildLock } from "../safeguards/index.ts";
import { reportBuild } from "./circuits.ts";
import { haltsFor } from "./halts.ts";
import { lockedOut } from "./leftovers.ts";
import { foresight, permitsFor } from "./permits.ts";
import type { ActingSessions, PilotContext } from "./target.ts";

/** Who acts. `consents`: whoever started this says yes to what it does; otherwise only what was approved before is done. */
export interface Actor {
  /** For the history. */
  readonly name: string;
  readonly consents: boolean;
}

/** What the rollout works with, and what a permit would be refused for, before anybody prepares for it. */
export interface Rollout extends RolloutContext {
  foresee(act: PermittedAct): Promise<Objection | null>;
  /** Tells the breakers how a build ended. */
  report(deployment: Deployment, outcome: BuildOutcome): Promise<void>;
}

/**
 * Takes the build lock, and puts together what changing the target needs: sessions, permits, and what ends an act that runs.
 * @throws IndexPilotError `refused` where another process has the lock
 */
export const openRollout = async (
  { observe, clock, signal }: PilotContext,
  { build, watch, store }: ActingSessions,
  actor: Actor,
  settings: Settings,
): Promise<Rollout> => {
  if ((await acquireBuildLock(build)) === null) throw lockedOut();
  const approvedBy = actor.consents ? actor.name : null;
  const wiring = { build, observe, store, clock, actor: actor.name, approvedBy, buildLockHeld: true, settings };
  return {
    build,
    watch,
    store,
    clock,
    actor: actor.name,
    signal,
    permits: permitsFor(wiring),
    foresee: foresight(wiring),
    report: (deployment, outcome) => reportBuild({ store, clock, settings }, deployment, outcome),
    halts: haltsFor({ observe, store, clock, settings }),
    lockBudgetMs: settings.lockBudgetMs,
  };
};
