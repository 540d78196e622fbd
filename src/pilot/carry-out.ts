import type { Block, Deployment } from "../domain/index.ts";
import { failure } from "../errors.ts";
import type { Session } from "../postgres/index.ts";
import {
  type BuildOutcome,
  type BuildProgress,
  createIndex,
  type Reconciliation,
  type RolloutContext,
} from "../rollout/index.ts";
import { observeBaseline } from "./baseline.ts";
import type { ChangePlan } from "./change-plan.ts";
import { plannedTable } from "./change-plan.ts";
import { reportBuild } from "./circuits.ts";
import { withoutRecentlyRolledBack } from "./cool-down.ts";
import { requireBuildPrivileges } from "./privileges.ts";
import { propose } from "./proposal.ts";
import { markChange } from "./since-change.ts";
import { ownRoles, type PilotContext } from "./target.ts";
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
  /** Empty where nobody waited. */
  readonly verdicts: readonly Pursued[];
  /** What was observed before the first build, and after the last change. */
  readonly before: readonly Block[];
  readonly after: readonly Block[];
}

/** Observes a baseline, builds one index after the other, each under its own permit, and, where asked to, observes until each has a verdict. */
export const carryOut = async (
  context: PilotContext,
  rollout: RolloutContext,
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
  const before = wanted.length === 0 ? [] : await observeBaseline(session, store, context, options);
  const builds: BuildReport[] = [];
  for (const [at, planned] of wanted.entries()) {
    context.signal.throwIfAborted();
    const deployment = await propose(rollout, plan, planned, before);
    context.emit({
      kind: "step",
      text: `building ${deployment.indexName} (${String(at + 1)} of ${String(wanted.length)})`,
    });
    const outcome = await createIndex({
      ...rollout,
      deployment,
      onProgress: (progress) => context.emit(describeProgress(deployment, progress)),
    });
    await reportBuild({ store, clock: context.clock, settings: context.settings }, deployment, outcome);
    builds.push({ deployment: "deployment" in outcome ? outcome.deployment : deployment, outcome });
    if (outcome.kind === "interrupted") throw failure("interrupted", {});
  }
  const built = builds.some(({ outcome }) => outcome.kind === "built");
  if (built) await markChange(session, store, ownRoles(context));
  if (options.waitMs === null || (!built && reconciled.length === 0)) {
    return { reconciled, builds, verdicts: [], before, after: [] };
  }
  const { verdicts, after } = await pursueVerdicts({
    ...context,
    ...options,
    waitMs: options.waitMs,
    observe: session,
    rollout,
    excludeRoles: ownRoles(context),
  });
  return { reconciled, builds, verdicts, before, after };
};

const describeProgress = (
  deployment: Deployment,
  progress: BuildProgress,
): { readonly kind: "progress"; readonly share: number | null; readonly text: string } => {
  const [done, total] =
    progress.blocksTotal > 0
      ? [progress.blocksDone, progress.blocksTotal]
      : [progress.tuplesDone, progress.tuplesTotal];
  const waiting = progress.waitsForPid === null ? "" : `, waits for backend ${String(progress.waitsForPid)}`;
  return {
    kind: "progress",
    share: total > 0 ? done / total : null,
    text: `${deployment.indexName}: ${progress.phase}${waiting}`,
  };
};
