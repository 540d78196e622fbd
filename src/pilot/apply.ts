import { IndexPilotError } from "../errors.ts";
import { openSession, readCatalog, type Session } from "../postgres/index.ts";
import type { Reconciliation } from "../rollout/index.ts";
import type { CounterReading } from "../store/index.ts";
import type { Advice } from "./advice.ts";
import { recordAdvice, recordNothingNew, recordPlan } from "./advice-record.ts";
import { advise, type AdviseOptions } from "./advise.ts";
import { type CarriedOut, carryOut, type CarryOutOptions } from "./carry-out.ts";
import { type ChangePlan, changePlan, remainderOf } from "./change-plan.ts";
import { takeUpLeftovers } from "./leftovers.ts";
import { openRollout, type Rollout } from "./rollout-context.ts";
import { liveTarget } from "./source.ts";
import { openActing, type PilotContext, withSession } from "./target.ts";
import { keepingVersions } from "./versions.ts";
import type { WorkloadSource } from "./workload.ts";

interface ActOptions extends CarryOutOptions {
  /** Who approved it, for the history. */
  readonly actor: string;
  readonly budgetBytes: number;
  readonly acceptInstallation: boolean;
}

export interface ApplyOptions extends AdviseOptions, ActOptions {
  /** Given the counters at our last change, which are where the workload of the next advice begins. */
  readonly workloadOf: (since: CounterReading | null) => WorkloadSource;
}

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
    const { store } = rollout;
    const owned = await store.deployments.ownedBytes();
    if (owned >= options.budgetBytes) {
      context.emit({ kind: "note", text: "the indexes that are ours already fill the budget" });
    }
    const advice = await unlessQuiet(
      advise({
        ...options,
        // What is ours already counts against the same budget; at least one byte, so that every refusal is the budget's.
        budgetBytes: Math.max(1, options.budgetBytes - owned),
        source: liveTarget(session, options.workloadOf(await store.readings.latest())),
        clock: context.clock,
        signal: context.signal,
        emit: context.emit,
        onOwnScans: (scans) => store.scans.add(scans, context.clock.now()),
      }),
    );
    if ("reason" in advice) {
      await recordNothingNew(store, advice.reason, context.clock.now());
      return { advice: null, reason: advice.reason, reconciled };
    }
    await recordAdvice(store, advice, context.clock.now());
    return { advice, ...(await carryOut(context, rollout, session, changePlan(advice), reconciled, options)) };
  });

/** The advice, or why there is none: nothing has run since the last change. */
const unlessQuiet = async (advice: Promise<Advice>): Promise<Advice | { readonly reason: string }> => {
  try {
    return await advice;
  } catch (error) {
    if (error instanceof IndexPilotError && error.code === "nothing_since_change") return { reason: error.message };
    throw error;
  }
};

/**
 * Carries out a plan that was made and reviewed before, or what an earlier run left of it.
 * @throws IndexPilotError `plan_outdated` when the database is not what it was when the plan was made
 */
export const applyPlan = (context: PilotContext, plan: ChangePlan, options: ActOptions): Promise<CarriedOut> =>
  act(context, options, async ({ rollout, session, reconciled }) => {
    context.emit({ kind: "step", text: "comparing the plan with the database" });
    const standing = await rollout.store.deployments.list({ states: ["verifying", "settled"] });
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
const act = async <T>(context: PilotContext, options: ActOptions, work: (acting: Acting) => Promise<T>): Promise<T> => {
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
