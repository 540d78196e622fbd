import type { Block, Deployment } from "../domain/index.ts";
import { failure } from "../errors.ts";
import type { Session } from "../postgres/index.ts";
import { buildActOf, type BuildOutcome, type Reconciliation } from "../rollout/index.ts";
import { beginCanaries } from "./canary.ts";
import { conduct } from "./conduct.ts";
import type { Conducted } from "./conducting.ts";
import { buildOne } from "./build-one.ts";
import { observeBaseline } from "./baseline.ts";
import type { ChangePlan } from "./change-plan.ts";
import { plannedTable } from "./change-plan.ts";
import { withoutRecentlyRolledBack } from "./cool-down.ts";
import { requireBuildPrivileges } from "./privileges.ts";
import { approveProposal, proposePlan, withEvidence } from "./proposal.ts";
import type { Rollout } from "./rollout-context.ts";
import { markChange } from "./since-change.ts";
import { breakable, ownRoles, type PilotContext } from "./target.ts";
import { type Pursued, pursueVerdicts } from "./verdicts.ts";

export interface CarryOutOptions {
  readonly baselineMs: number;
  readonly blockMs: number;
  /** Blocks on each side before the first look. */
  readonly minimumBlocks: number;
  /** How long to look for verdicts after the builds; null: not now. */
  readonly waitMs: number | null;
}

/** One index of a plan on its way. */
export interface BuildReport {
  readonly deployment: Deployment;
  readonly outcome: BuildOutcome;
}

export interface CarriedOut {
  /** What earlier processes had left in the middle, and what became of it. */
  readonly reconciled: readonly Reconciliation[];
  readonly builds: readonly BuildReport[];
  /** Those that serve a share of the traffic first, as far as they have come. */
  readonly experiments: readonly Conducted[];
  /** Empty where nobody waited. */
  readonly verdicts: readonly Pursued[];
  /** What was observed before the first build, and after the last change. */
  readonly before: readonly Block[];
  readonly after: readonly Block[];
}

/** Approves what the plan wants in the actor's name, builds it, and, where asked to, observes until each has a verdict. */
export const carryOut = async (
  context: PilotContext,
  rollout: Rollout,
  /** Observes the target. */
  session: Session,
  plan: ChangePlan,
  reconciled: readonly Reconciliation[],
  options: CarryOutOptions,
): Promise<CarriedOut> => {
  const { store } = rollout;
  const wanted = await withoutRecentlyRolledBack(store, plan.create, context);
  await requireBuildPrivileges(
    rollout.build,
    wanted.map((planned) => plannedTable(plan, planned)),
  );
  const approved: Deployment[] = [];
  for (const proposal of await proposePlan(rollout, plan, wanted)) {
    const next =
      proposal.state === "approved" ? proposal : await approveProposal(rollout, proposal, "the person who applied it");
    if (next !== null) approved.push(next);
  }
  const { canaries, others } = await beginCanaries(context, rollout, session, approved);
  const { builds, before } = await buildApproved(context, rollout, session, others, options);
  const built = builds.some(({ outcome }) => outcome.kind === "built");
  // What is laid down is built and tested at least, so that the next process has only to look.
  const experiments =
    canaries.length === 0
      ? []
      : await conduct(context, rollout, session, options.waitMs ?? context.settings.canaryPatienceMs);
  if (options.waitMs === null || (!built && reconciled.length === 0)) {
    return { reconciled, builds, experiments, verdicts: [], before, after: [] };
  }
  const { verdicts, after } = await pursueVerdicts({
    ...context,
    ...options,
    waitMs: options.waitMs,
    observe: session,
    rollout,
    excludeRoles: ownRoles(context),
  });
  return { reconciled, builds, experiments, verdicts, before, after };
};

/** Builds one approved index after the other, each under its own permit, after a baseline for what will not be refused. */
export const buildApproved = async (
  context: PilotContext,
  rollout: Rollout,
  /** Observes the target. */
  session: Session,
  approved: readonly Deployment[],
  options: Pick<CarryOutOptions, "baselineMs" | "blockMs">,
): Promise<{ readonly builds: readonly BuildReport[]; readonly before: readonly Block[] }> => {
  const { store } = rollout;
  const builds: BuildReport[] = [];
  const possible: Deployment[] = [];
  for (const deployment of approved) {
    const objection = await rollout.foresee({
      act: buildActOf(deployment),
      table: deployment.table,
      deploymentId: deployment.id,
    });
    if (objection === null) possible.push(deployment);
    else builds.push({ deployment, outcome: { kind: "refused", ...objection } });
  }
  // A rebuilt index is the same index: no plan changes, and there is nothing to prove.
  const proves = possible.some(({ kind }) => kind !== "reindex");
  const before = proves ? await observeBaseline(session, store, breakable(context), options) : [];
  for (const [at, one] of possible.entries()) {
    breakable(context).signal.throwIfAborted();
    const deployment = await withEvidence(store, one, before);
    if (deployment === null) continue;
    context.emit({
      kind: "step",
      text: `${deployment.kind === "reindex" ? "rebuilding" : "building"} ${deployment.indexName} (${String(at + 1)} of ${String(possible.length)})`,
    });
    const outcome = await buildOne(context, rollout, deployment);
    builds.push({ deployment: "deployment" in outcome ? outcome.deployment : deployment, outcome });
    if (outcome.kind === "interrupted") throw failure("interrupted", {});
  }
  const isChange = ({ deployment: { kind }, outcome }: BuildReport): boolean =>
    outcome.kind === "built" && kind !== "reindex";
  if (builds.some(isChange)) await markChange(session, store, ownRoles(context));
  return { builds, before };
};
