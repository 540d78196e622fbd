import { openSession } from "../postgres/index.ts";
import type { Reconciliation } from "../rollout/index.ts";
import { failure } from "../errors.ts";
import { takeUpLeftovers } from "./leftovers.ts";
import { type Actor, openRollout, type Rollout } from "./rollout-context.ts";
import { type ActingSessions, breakable, openActing, ownRoles, type PilotContext, withSession } from "./target.ts";
import { keepingVersions } from "./versions.ts";
import { type Pursuit, pursueVerdicts } from "./verdicts.ts";

/**
 * Opens what acting on existing deployments needs, with the build lock held; with `create`, also where there is no store yet.
 * @throws IndexPilotError `store_missing`, `refused`
 */
export const withRollout = async <T>(
  context: PilotContext,
  actor: Actor,
  work: (rollout: Rollout, acting: ActingSessions) => Promise<T>,
  { create = false }: { readonly create?: boolean } = {},
): Promise<T> => {
  const acting = await openActing(context, create ? { create, acceptInstallation: false } : { create });
  if (acting === null) throw failure("store_missing", {});
  try {
    const rollout = await openRollout(context, acting, actor, context.settings);
    return await keepingVersions(rollout, () => work(rollout, acting));
  } finally {
    await acting.close();
  }
};

/** Takes up leftovers, then observes until pending deployments have their verdict or the time is up. */
export const verify = (
  context: PilotContext,
  options: {
    readonly actor: Actor;
    readonly blockMs: number;
    readonly waitMs: number;
    readonly noteUndecided?: boolean;
  },
): Promise<{ readonly reconciled: readonly Reconciliation[] } & Omit<Pursuit, "after">> =>
  withRollout(context, options.actor, async (rollout) => {
    const reconciled = await takeUpLeftovers(rollout, context.emit);
    const { verdicts, pauseMs } = await withSession(openSession(context.observe, "observe"), (observe) =>
      pursueVerdicts({
        ...breakable(context),
        ...options,
        minimumBlocks: context.settings.minimumBlocks,
        observe,
        rollout,
        excludeRoles: ownRoles(context),
      }),
    );
    return { reconciled, verdicts, pauseMs };
  });
