import { randomUUID } from "node:crypto";
import {
  type Block,
  type Catalog,
  type ChosenIndex,
  type Deployment,
  definitionId,
  type EvidencePlan,
  majorVersion,
  type Table,
  tableId,
  type Workload,
} from "../domain/index.ts";
import { failure } from "../errors.ts";
import { openSession } from "../postgres/index.ts";
import {
  advance,
  type BuildOutcome,
  type BuildProgress,
  createIndex,
  proposeIndex,
  reconcile,
  type Reconciliation,
  type RolloutContext,
} from "../rollout/index.ts";
import { acquireBuildLock } from "../safeguards/index.ts";
import type { Store } from "../store/index.ts";
import { advise, type AdviseOptions } from "./advise.ts";
import { type Advice, queryName } from "./advice.ts";
import { observeBlocks } from "./observe.ts";
import { permitsFor } from "./permits.ts";
import { requireBuildPrivileges } from "./privileges.ts";
import { saveBlock } from "./record.ts";
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

/** After a rollback the same index is not built again for this long: the next verdict would most likely be the same. */
const COOL_DOWN_MS = 7 * 86_400_000;

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
    const reconciled = await takeUpLeftovers(rollout, context);
    return await withSession(openSession(context.observe, "observe"), async (session) => {
      const owned = await store.deployments.ownedBytes();
      if (owned >= options.budgetBytes) {
        context.emit({ kind: "note", text: "the indexes that are ours already fill the budget" });
      }
      const advice = await advise({
        ...options,
        // What is ours already counts against the same budget; at least one byte, so that every refusal is the budget's.
        budgetBytes: Math.max(1, options.budgetBytes - owned),
        session,
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

export const lockedOut = (): Error =>
  failure("refused", {
    reason: "another IndexPilot is changing indexes of this database, or a build of one that was killed still runs",
    remedy: "wait for it to end; `indexpilot status` shows what is under way",
  });

/** Reconciles, and closes intentions that were approved and never begun: a new analysis takes their place. */
export const takeUpLeftovers = async (
  rollout: RolloutContext,
  context: PilotContext,
): Promise<readonly Reconciliation[]> => {
  const reconciled = await reconcile({
    ...rollout,
    onWaiting: (deployment) => {
      context.emit({
        kind: "step",
        text: `waiting for the build of ${deployment.indexName}, which outlived the process that began it`,
      });
    },
  });
  for (const { deployment, result, reason } of reconciled) {
    context.emit({
      kind: "note",
      text: `${deployment.indexName}, left by an earlier run: ${result.replaceAll("_", " ")} (${reason})`,
    });
  }
  for (const stale of await rollout.store.deployments.list({ states: ["proposed", "approved"] })) {
    await advance(rollout, stale, "decline", {
      actor: rollout.actor,
      detail: { code: "superseded", reason: "it was never begun, and a new analysis takes its place" },
    });
  }
  return reconciled;
};

const withoutRecentlyRolledBack = async (
  store: Store,
  advice: Advice,
  context: PilotContext,
): Promise<readonly ChosenIndex[]> => {
  const since = context.clock.now().getTime() - COOL_DOWN_MS;
  const cooling = new Map(
    (await store.deployments.list({ states: ["rolled_back"] }))
      .filter((deployment) => deployment.updatedAt.getTime() >= since)
      .map((deployment) => [definitionId(deployment.intended), deployment]),
  );
  const wanted: ChosenIndex[] = [];
  for (const chosen of advice.configuration.create) {
    const earlier = cooling.get(chosen.index.id);
    if (earlier === undefined) {
      wanted.push(chosen);
      continue;
    }
    const reason = `${earlier.indexName} was rolled back on ${earlier.updatedAt.toISOString()}; the same index is not built again within 7 days`;
    context.emit({ kind: "note", text: reason });
    await store.decisions.record({
      at: context.clock.now(),
      subject: "refuse",
      deploymentId: earlier.id,
      rule: "pilot.cool_down",
      outcome: "refused",
      code: "cool_down",
      reason,
      inputs: { definition: earlier.definition, rolledBackAt: earlier.updatedAt.toISOString() },
    });
  }
  return wanted;
};

const observeBaseline = async (
  session: Parameters<typeof observeBlocks>[0]["session"],
  store: Store,
  context: PilotContext,
  options: ApplyOptions,
): Promise<readonly Block[]> => {
  context.emit({
    kind: "step",
    text: `observing the workload before the change (${String(Math.round(options.baselineMs / 1000))} s)`,
  });
  const blocks: Block[] = [];
  const wanted = Math.max(1, Math.round(options.baselineMs / options.blockMs));
  for await (const { block, snapshot } of observeBlocks({
    ...context,
    session,
    blockMs: options.blockMs,
    excludeRoles: ownRoles(context),
  })) {
    await saveBlock(store, block, snapshot);
    blocks.push(block);
    context.emit({
      kind: "progress",
      share: blocks.length / wanted,
      text: `block ${String(blocks.length)} of ${String(wanted)}`,
    });
    if (blocks.length >= wanted) break;
  }
  return blocks;
};

const propose = async (
  rollout: RolloutContext,
  advice: Advice,
  chosen: ChosenIndex,
  baseline: readonly Block[],
  wanted: readonly ChosenIndex[],
): Promise<Deployment> => {
  const { definition } = chosen.index;
  const table = tableOf(advice, chosen);
  const evidence = evidenceFor(advice, chosen, baseline, wanted);
  const proposed = proposeIndex({
    id: randomUUID(),
    definition,
    tableOid: table.oid,
    predictedBytes: chosen.index.estimatedBytes,
    rationale: {
      statementIds: chosen.statementIds,
      costBefore: chosen.costBefore,
      costAfter: chosen.costAfter,
      reason: `serves ${chosen.statementIds.map((id) => queryName(advice, id)).join(", ")}`,
      ...(evidence === null ? {} : { evidence }),
    },
    now: rollout.clock.now(),
  });
  await rollout.store.deployments.insert(proposed, { event: "propose", actor: rollout.actor });
  const approved = await advance(rollout, proposed, "approve", { actor: rollout.actor, detail: { by: rollout.actor } });
  if (approved === null) throw new Error("a deployment that nobody else knows was changed by somebody else");
  return approved;
};

const tableOf = (advice: Advice, chosen: ChosenIndex): Table => {
  const id = tableId(chosen.index.definition.table);
  const table = advice.catalog.tables.find((one) => tableId(one) === id);
  if (table === undefined) throw new Error("an index was chosen on a table that is not in the catalogue");
  return table;
};

/** What the verdict will be made from, settled before the build. */
const evidenceFor = (
  advice: Advice,
  chosen: ChosenIndex,
  baseline: readonly Block[],
  wanted: readonly ChosenIndex[],
): EvidencePlan | null => {
  const [first] = baseline;
  const last = baseline.at(-1);
  if (first === undefined || last === undefined) return null;
  const own = tableId(chosen.index.definition.table);
  const changing = new Set(wanted.map((other) => tableId(other.index.definition.table)));
  const tablesOf = (id: string): readonly string[] =>
    (advice.accesses.get(id) ?? []).map((access) => tableId(access.table));
  const served = new Set(chosen.statementIds);
  const writes = advice.workload.statements.filter(
    (statement) =>
      statement.verb !== "select" &&
      !served.has(statement.id) &&
      (advice.accesses.get(statement.id) ?? []).some(
        (access) => tableId(access.table) === own && access.written.length > 0,
      ),
  );
  const control = advice.workload.statements.filter((statement) => {
    const tables = tablesOf(statement.id);
    return tables.length > 0 && !tables.some((table) => changing.has(table));
  });
  return {
    baselineFrom: first.startedAt.toISOString(),
    baselineTo: last.endedAt.toISOString(),
    writeIds: writes.map((statement) => statement.id),
    controlIds: control.map((statement) => statement.id),
  };
};

const recordAdvice = async (store: Store, advice: Advice, now: Date): Promise<void> => {
  const { configuration } = advice;
  await store.decisions.record({
    at: now,
    subject: "advise",
    deploymentId: null,
    rule: "selection.portfolio+swap",
    outcome: `${String(configuration.create.length)} to create`,
    code: configuration.create.length === 0 ? "nothing_pays" : "advised",
    reason: `planner cost ${configuration.totals.costBefore.toFixed(2)} to ${configuration.totals.costAfter.toFixed(2)} by ${String(configuration.create.length)} indexes`,
    inputs: {
      planner: advice.planner,
      server: { major: majorVersion(advice.catalog.server.versionNum), node: advice.catalog.server.node },
      budgetBytes: advice.budgetBytes,
      totals: configuration.totals,
      statements: configuration.statements,
      create: configuration.create.map((chosen) => ({
        definition: chosen.index.definition,
        sizeBytes: chosen.index.estimatedBytes,
        statementIds: chosen.statementIds,
        costBefore: chosen.costBefore,
        costAfter: chosen.costAfter,
      })),
      calibrations: [...advice.calibrations.values()].map(({ statementId, confidence, targetCost, whatIfCost }) => ({
        statementId,
        confidence,
        targetCost,
        whatIfCost,
      })),
    },
  });
  for (const declined of configuration.declined) {
    await store.decisions.record({
      at: now,
      subject: "decline",
      deploymentId: null,
      rule: `candidates+selection.${declined.code}`,
      outcome: "declined",
      code: declined.code,
      reason: declined.reason,
      inputs: { definition: declined.definition, statementIds: declined.statementIds },
    });
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
