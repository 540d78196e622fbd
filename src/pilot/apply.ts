import { openSession, readCatalog, type Session } from "../postgres/index.ts";
import type { Reconciliation } from "../rollout/index.ts";
import type { Advice } from "./advice.ts";
import { recordPlan } from "./advice-record.ts";
import { type CarriedOut, carryOut, type CarryOutOptions } from "./carry-out.ts";
import { type ChangePlan, changePlan, remainderOf } from "./change-plan.ts";
import { type FreshAdviceOptions, freshAdvice } from "./fresh-advice.ts";
import { takeUpLeftovers } from "./leftovers.ts";
import { openRollout, type Rollout } from "./rollout-context.ts";
import { openActing, type PilotContext, withSession } from "./target.ts";
import { keepingVersions } from "./versions.ts";

interface ActOptions extends CarryOutOptions {
  /** Who approved it, for the history. */
  readonly actor: string;
  readonly budgetBytes: number;
  readonly acceptInstallation: boolean;
}

export interface ApplyOptions extends FreshAdviceOptions, ActOptions {}

export interface ApplyReport extends CarriedOut {
  readonly advice: Advice;
}

/** Nothing has run since our last change, so that there is nothing new to advise. */
export interface NothingNew {
  readonly advice: null;
  readonly reason: string;
  readonly reconciled: readonly Reconciliation[];
}

/**
 * The whole loop: take up leftovers, advise, observe a baseline, build one index after the other, and, where asked to, observe until each has a
 * verdict. Everything that changes the target goes through a permit.
 */
export const apply = (context: PilotContext, options: ApplyOptions): Promise<ApplyReport | NothingNew> =>
  act(context, options, async ({ rollout, session, reconciled }) => {
    const advice = await freshAdvice(context, rollout.store, session, options);
    if ("reason" in advice) return { advice: null, reason: advice.reason, reconciled };
    return { advice, ...(await carryOut(context, rollout, session, changePlan(advice), reconciled, options)) };
  });

/**
 * Carries out a plan that was made and reviewed before, or what an earlier run left of it.
 * @throws IndexPilotError `plan_outdated` when the database is not what it was when the plan was made
 */
export const applyPlan = (context: PilotContext, plan: ChangePlan, options: ActOptions): Promise<CarriedOut> =>
  act(context, options, async ({ rollout, session, reconciled }) => {
    context.emit({ kind: "step", text: "comparing the plan with the database" });
    const { deployments } = rollout.store;
    const gone = await deployments.gone();
    const built = await deployments.list({ states: ["building", "verifying", "promoting", "settled"] });
    const standing = built.filter(({ id }) => !gone.has(id));
    const rest = remainderOf(plan, await readCatalog(session), standing);
    const done = plan.create.length - rest.create.length;
    if (done > 0) {
      context.emit({
        kind: "note",
        text: `${String(done)} of the plan's indexes (${String(plan.create.length)}) stand already`,
      });
    }
    await recordPlan(rollout.store, plan, context.clock.now());
    return carryOut(context, rollout, session, rest, reconciled, options);
  });

interface Acting {
  readonly rollout: Rollout;
  /** Observes the target. */
  readonly session: Session;
  readonly reconciled: readonly Reconciliation[];
}

/** Opens both roles' sessions and the store, takes the build lock and takes up leftovers; closes everything afterwards. */
export const act = async <T>(
  context: PilotContext,
  options: Pick<ActOptions, "actor" | "budgetBytes" | "acceptInstallation">,
  work: (acting: Acting) => Promise<T>,
): Promise<T> => {
  const acting = await openActing(context, { create: true, acceptInstallation: options.acceptInstallation });
  if (acting === null) throw new Error("a store that may be created is never missing");
  try {
    const settings = { ...context.settings, budgetBytes: options.budgetBytes };
    const rollout = await openRollout(context, acting, { name: options.actor, consents: true }, settings);
    const reconciled = await takeUpLeftovers(rollout, context.emit);
    return await withSession(openSession(context.observe, "observe"), (session) =>
      keepingVersions(rollout, () => work({ rollout, session, reconciled })),
    );
  } finally {
    await acting.close();
  }
};
