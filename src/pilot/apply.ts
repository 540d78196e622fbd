import type { Block, Catalog, Deployment, Workload } from "../domain/index.ts";
import { failure } from "../errors.ts";
import { openSession } from "../postgres/index.ts";
import {
  type BuildOutcome,
  type BuildProgress,
  createIndex,
  type Reconciliation,
  type RolloutContext,
} from "../rollout/index.ts";
import { acquireBuildLock } from "../safeguards/index.ts";
import type { Advice } from "./advice.ts";
import { recordAdvice } from "./advice-record.ts";
import { advise, type AdviseOptions } from "./advise.ts";
import { observeBaseline } from "./baseline.ts";
import { withoutRecentlyRolledBack } from "./cool-down.ts";
import { lockedOut, takeUpLeftovers } from "./leftovers.ts";
import { permitsFor } from "./permits.ts";
import { requireBuildPrivileges } from "./privileges.ts";
import { propose, tableOf } from "./proposal.ts";
import { liveTarget } from "./source.ts";
import { openActing, ownRoles, type PilotContext, withSession } from "./target.ts";
import { type Pursued, pursueVerdicts } from "./verdicts.ts";

export interface ApplyOptions extends AdviseOptions {
  readonly workloadOf: (catalog: Catalog) => Promise<Workload>;
  /** Who approved it, for the history. */
  readonly actor: string;
  readonly baselineMs: number;
  readonly blockMs: number;
  /** Blocks on each side before the first look. */
  readonly minimumBlocks: number;
  /** How long to look for verdicts after the builds; null: not now. */
  readonly waitMs: number | null;
  readonly acceptInstallation: boolean;
}

/** One index of a configuration on its way. */
export interface BuildReport {
  readonly deployment: Deployment;
  readonly outcome: BuildOutcome;
}

export interface ApplyReport {
  readonly advice: Advice;
  /** What earlier processes had left in the middle, and what became of it. */
  readonly reconciled: readonly Reconciliation[];
  readonly builds: readonly BuildReport[];
  /** Empty where nobody waited. */
  readonly verdicts: readonly Pursued[];
  /** What was observed before the first build, and after the last change. */
  readonly before: readonly Block[];
  readonly after: readonly Block[];
}

/**
 * The whole loop: take up leftovers, advise, observe a baseline, build one index after the other, and, where asked to, observe until each has a
 * verdict. Everything that changes the target goes through a permit.
 */
export const apply = async (context: PilotContext, options: ApplyOptions): Promise<ApplyReport> => {
  const acting = await openActing(context, { create: true, acceptInstallation: options.acceptInstallation });
  if (acting === null) throw new Error("a store that may be created is never missing");
  try {
    const { build, watch, store } = acting;
    const lock = await acquireBuildLock(build);
    if (lock === null) throw lockedOut();
    const rollout: RolloutContext = {
      build,
      watch,
      store,
      clock: context.clock,
      actor: options.actor,
      signal: context.signal,
      permits: permitsFor({
        build,
        store,
        clock: context.clock,
        approvedBy: options.actor,
        buildLockHeld: true,
        budgetBytes: options.budgetBytes,
      }),
    };
    const reconciled = await takeUpLeftovers(rollout, context.emit);
    return await withSession(openSession(context.observe, "observe"), async (session) => {
      const owned = await store.deployments.ownedBytes();
      if (owned >= options.budgetBytes) {
        context.emit({ kind: "note", text: "the indexes that are ours already fill the budget" });
      }
      const advice = await advise({
        ...options,
        // What is ours already counts against the same budget; at least one byte, so that every refusal is the budget's.
        budgetBytes: Math.max(1, options.budgetBytes - owned),
        source: liveTarget(session, options.workloadOf),
        clock: context.clock,
        signal: context.signal,
        emit: context.emit,
        onOwnScans: (scans) => store.scans.add(scans, context.clock.now()),
      });
      await recordAdvice(store, advice, context.clock.now());
      const wanted = await withoutRecentlyRolledBack(store, advice, context);
      await requireBuildPrivileges(
        build,
        wanted.map((chosen) => tableOf(advice, chosen)),
      );
      const baseline = wanted.length === 0 ? [] : await observeBaseline(session, store, context, options);
      const builds: BuildReport[] = [];
      for (const [at, chosen] of wanted.entries()) {
        context.signal.throwIfAborted();
        const deployment = await propose(rollout, advice, chosen, baseline, wanted);
        context.emit({
          kind: "step",
          text: `building ${deployment.indexName} (${String(at + 1)} of ${String(wanted.length)})`,
        });
        const outcome = await createIndex({
          ...rollout,
          deployment,
          onProgress: (progress) => context.emit(describeProgress(deployment, progress)),
        });
        builds.push({ deployment: "deployment" in outcome ? outcome.deployment : deployment, outcome });
        if (outcome.kind === "interrupted") throw failure("interrupted", {});
      }
      const built = builds.some(({ outcome }) => outcome.kind === "built");
      const { verdicts, after } =
        options.waitMs === null || (!built && reconciled.length === 0)
          ? { verdicts: [], after: [] }
          : await pursueVerdicts({
              observe: session,
              rollout,
              clock: context.clock,
              signal: context.signal,
              emit: context.emit,
              blockMs: options.blockMs,
              waitMs: options.waitMs,
              minimumBlocks: options.minimumBlocks,
              excludeRoles: ownRoles(context),
            });
      return { advice, reconciled, builds, verdicts, before: baseline, after };
    });
  } finally {
    await acting.close();
  }
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
