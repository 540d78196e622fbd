import type { Deployment, Experiment, StopSwitch } from "../domain/index.ts";
import { IndexPilotError } from "../errors.ts";
import { openSession } from "../postgres/index.ts";
import { advance, readStanding, type Reconciliation } from "../rollout/index.ts";
import type { Store } from "../store/index.ts";
import type { Advice } from "./advice.ts";
import { beginCanaries } from "./canary.ts";
import { type DropReport, dropApproved } from "./approved-drops.ts";
import { type BuildReport, buildApproved } from "./carry-out.ts";
import { changePlan } from "./change-plan.ts";
import { AUTOPILOT } from "./events.ts";
import { withoutRecentlyRolledBack } from "./cool-down.ts";
import { heldByExperiments } from "./held.ts";
import { freshAdvice } from "./fresh-advice.ts";
import { takeUpLeftovers } from "./leftovers.ts";
import { sampleLoad } from "./load.ts";
import { mayBeBuilt } from "./modes.ts";
import { observeBlocks } from "./observe.ts";
import { requireBuildPrivileges } from "./privileges.ts";
import { proposePlan, withStandingConsent } from "./proposal.ts";
import { saveBlock } from "./record.ts";
import type { Rollout } from "./rollout-context.ts";
import { ownRoles, type PilotContext, withSession, withWritableStore } from "./target.ts";
import { withRollout } from "./verify.ts";
import { workloadOfTraffic } from "./workload.ts";

/** Observes one block and stores it, with a sample of the load. */
export const observeBlock = (context: PilotContext): Promise<void> =>
  withWritableStore(context, (store) =>
    withSession(openSession(context.observe, "observe"), async (session) => {
      const { blockMs } = context.settings;
      for await (const { block, snapshot } of observeBlocks({
        ...context,
        session,
        blockMs,
        excludeRoles: ownRoles(context),
      })) {
        await saveBlock(store, block, snapshot);
        await sampleLoad(session, store, context);
        return;
      }
    }),
  );

export interface Proposed {
  /** Null where nothing has run since our last change. */
  readonly advice: Advice | null;
  /** What the advice wants built, in its order; what needs no person is approved already. */
  readonly proposals: readonly Deployment[];
}

/**
 * Analyses, and stores what the advice wants built in tables whose mode lets it be built. What nobody has to be asked about is approved: all in mode
 * autopilot, and what is sure enough where the settings say so. What a person approved stands, whatever the analysis says now. Nothing is built.
 */
export const propose = (context: PilotContext): Promise<Proposed> =>
  withWritableStore(context, (store) =>
    withSession(openSession(context.observe, "observe"), async (session) => {
      const { settings, clock } = context;
      const advice = await freshAdvice(context, store, session, {
        ...settings,
        limits: settings,
        workloadOf: (since) => workloadOfTraffic(context, session, { observeMs: null, seed: settings.seed, since }),
      });
      if ("reason" in advice) {
        context.emit({ kind: "note", text: advice.reason });
        return { advice: null, proposals: [] };
      }
      const plan = changePlan(advice);
      const may = plan.create.filter(({ definition }) => mayBeBuilt(definition.table, settings));
      const wanted = await withoutRecentlyRolledBack(store, may, context);
      const deciding = { store, clock, actor: AUTOPILOT };
      const proposals: Deployment[] = [];
      const byPerson = async ({ id, state }: Deployment): Promise<boolean> =>
        state === "approved" && (await store.deployments.approvedBy(id)) !== AUTOPILOT;
      const supersedes = async (waiting: Deployment): Promise<boolean> =>
        waiting.rationale.finding === undefined && !(await byPerson(waiting));
      for (const proposal of await proposePlan(deciding, plan, wanted, supersedes)) {
        proposals.push(await withStandingConsent(deciding, proposal, settings));
      }
      return { advice, proposals };
    }),
  );

/** One that a person can speak about; parts of one, on partitions, follow it. */
const isIntention = ({ partOf }: Deployment): boolean => partOf === undefined;

export interface RolledOut {
  readonly reconciled: readonly Reconciliation[];
  readonly builds: readonly BuildReport[];
  readonly drops: readonly DropReport[];
  /** What is to serve a share of the traffic first. */
  readonly canaries: readonly Experiment[];
}

/**
 * Takes up leftovers, then builds what was approved and `isDue`, and where nothing was built drops what was approved: what was built is to be judged beside nothing else.
 * @throws IndexPilotError `refused` where another process has the build lock
 */
export const rollOut = (context: PilotContext, isDue: (approved: Deployment) => boolean): Promise<RolledOut> =>
  withRollout(context, { name: AUTOPILOT, consents: false }, async (rollout) => {
    const reconciled = await takeUpLeftovers(rollout, context.emit);
    const held = await heldByExperiments(rollout.store);
    const approved = (await rollout.store.deployments.list({ states: ["approved"] }))
      .filter((one) => isIntention(one) && !held.has(one.id))
      .filter(isDue);
    const allowed: Deployment[] = [];
    const refused: BuildReport[] = [];
    for (const deployment of approved) {
      if (await declinedAsRebuilt(rollout, deployment)) continue;
      const refusal = await withoutPrivileges(rollout, deployment);
      if (refusal === null) allowed.push(deployment);
      else refused.push(refusal);
    }
    const isDrop = ({ kind }: Deployment): boolean => kind === "drop";
    return withSession(openSession(context.observe, "observe"), async (session) => {
      const toBuild = allowed.filter((one) => !isDrop(one));
      const { canaries, others } = await beginCanaries(context, rollout, session, toBuild);
      const { builds } = await buildApproved(context, rollout, session, others, context.settings);
      const isBuilt = builds.some(({ outcome }) => outcome.kind === "built");
      const drops = isBuilt ? [] : await dropApproved(context, rollout, session, allowed.filter(isDrop));
      return { reconciled, builds: [...refused, ...builds], canaries, drops };
    });
  });

/**
 * Declines a rebuild that was decided because of bloat, where the file has been made anew since by somebody else: no access method makes it smaller
 * otherwise.
 */
const declinedAsRebuilt = async (rollout: Rollout, deployment: Deployment): Promise<boolean> => {
  const { replaces, rationale } = deployment;
  if (replaces === null || rationale.bloat === undefined) return false;
  const standing = await readStanding(rollout.build, replaces.oid);
  if (standing === null || standing.sizeBytes >= replaces.sizeBytes) return false;
  const reason = "it is smaller than when this was decided: somebody has rebuilt it";
  await advance(rollout, deployment, "decline", { actor: rollout.actor, detail: { code: "superseded", reason } });
  return true;
};

/** One table that the build role may not index is no reason to leave the others alone. */
const withoutPrivileges = async (rollout: Rollout, deployment: Deployment): Promise<BuildReport | null> => {
  try {
    await requireBuildPrivileges(rollout.build, [{ oid: deployment.tableOid }]);
    return null;
  } catch (error) {
    if (!(error instanceof IndexPilotError) || error.code !== "privilege_missing") throw error;
    const reason = `${error.message}; remedy: ${error.remedy}`;
    await rollout.store.decisions.record({
      at: rollout.clock.now(),
      subject: "refuse",
      deploymentId: deployment.id,
      rule: "pilot.build_privileges",
      outcome: "refused",
      code: error.code,
      reason,
      inputs: {},
    });
    return { deployment, outcome: { kind: "refused", code: error.code, reason, retryAt: null } };
  }
};

/** What there is to do, as far as the store tells. */
export interface Pending {
  readonly stop: StopSwitch | null;
  /** Wait for a person. */
  readonly proposed: number;
  readonly approved: readonly Deployment[];
  /** Begun by a process that may be dead. */
  readonly leftovers: number;
  /** Wait for their verdicts, by id. */
  readonly verifying: readonly string[];
  /** Not ended. */
  readonly experiments: number;
}

/** Reads the store only. */
export const readPending = async (store: Store): Promise<Pending> => {
  const states = [
    "proposed",
    "approved",
    "building",
    "promoting",
    "retiring",
    "dropping",
    "rolling_back",
    "verifying",
    "trying",
  ] as const;
  const held = await heldByExperiments(store);
  const open = (await store.deployments.list({ states })).filter((one) => isIntention(one) && !held.has(one.id));
  const those = (...states: readonly Deployment["state"][]): readonly Deployment[] =>
    open.filter(({ state }) => states.includes(state));
  return {
    stop: await store.stop.get(),
    proposed: those("proposed").length,
    approved: those("approved"),
    leftovers: those("building", "promoting", "retiring", "dropping", "rolling_back").length,
    verifying: those("verifying", "trying").map(({ id }) => id),
    experiments: (await store.experiments.open()).length,
  };
};
