import type { Settings } from "../config/index.ts";
import { IndexPilotError } from "../errors.ts";
import { type Choice, chooseRebuilds, type DeclinedRebuild } from "../maintenance/index.ts";
import type { Impossible } from "../rollout/index.ts";
import type { RefusalCode } from "../safeguards/index.ts";
import { checkHealth, type HealthReport } from "./health.ts";
import { mayBeBuilt } from "./modes.ts";
import { reindexIndex, type Reindexed } from "./reindex.ts";
import type { PilotContext } from "./target.ts";

/** What became of one; where the role may not rebuild it, that is a refusal. */
type Rebuilt = Pick<Reindexed, "outcome"> & { readonly impossible: Impossible | null };

export interface Maintained {
  readonly report: HealthReport;
  readonly chosen: readonly Choice[];
  readonly declined: readonly DeclinedRebuild[];
  /** What was begun, in order; empty in a dry run. */
  readonly rebuilt: readonly { readonly choice: Choice; readonly result: Rebuilt }[];
  /** Chosen, and not begun because the run's time was over, or because what refused another is in the way of each. */
  readonly leftForNextRun: number;
}

/** What refuses one for these refuses the next as well. */
const refusesAll: ReadonlySet<string> = new Set<RefusalCode>([
  "stopped",
  "installation_lease",
  "read_only_server",
  "unsafe_version",
  "build_running",
  "load",
  "replication_lag",
  "old_transaction",
]);

const gone = new Set(["redundant", "unused", "invalid", "invalid_ours", "being_built", "on_trial"]);

/** What one run would rebuild, of the tables that it may. */
export const chooseFrom = (report: HealthReport, settings: Settings): ReturnType<typeof chooseRebuilds> =>
  chooseRebuilds(
    report.indexes.map(({ judgement, method, bloat, tableBytes, returnedAfterDays }) => ({
      oid: judgement.oid,
      name: `${judgement.schema}.${judgement.name}`,
      method,
      sizeBytes: judgement.sizeBytes,
      tableBytes,
      bloat,
      mayBeBuilt: mayBeBuilt(judgement.table, settings),
      leaves: gone.has(judgement.standing),
      returnedAfterDays,
    })),
    report.threshold,
    {
      indexes: settings.rebuildIndexes,
      indexBytes: settings.rebuildIndexBytes,
      totalBytes: settings.rebuildTotalBytes,
    },
  );

const rebuildOne = async (context: PilotContext, request: Parameters<typeof reindexIndex>[1]): Promise<Rebuilt> => {
  try {
    const { outcome, plan } = await reindexIndex(context, request);
    return { outcome, impossible: plan.impossible };
  } catch (error) {
    if (!(error instanceof IndexPilotError) || error.code !== "privilege_missing") throw error;
    const reason = `${error.message}; remedy: ${error.remedy}`;
    return { outcome: { kind: "refused", code: error.code, reason, retryAt: null }, impossible: null };
  }
};

/**
 * Looks at all indexes, and rebuilds those that are bloated and worth it, one after the other, each under a permit of its own: window, load, lag and disk are
 * asked before each, and what may not be touched is no reason to leave the others alone. The look is remembered when something may be rebuilt, and a last one after it, so that what came is kept beside what was predicted.
 * @throws IndexPilotError as {@link checkHealth} and {@link reindexIndex} do
 */
export const maintain = async (
  context: PilotContext,
  options: { readonly rebuild: { readonly actor: string } | null; readonly readBytes: number },
): Promise<Maintained> => {
  const { settings, clock } = context;
  const record = options.rebuild !== null;
  const report = await checkHealth(context, { record, readBytes: options.readBytes });
  const { chosen, declined } = chooseFrom(report, settings);
  const rebuilt: { choice: Choice; result: Rebuilt }[] = [];
  if (options.rebuild === null) return { report, chosen, declined, rebuilt, leftForNextRun: 0 };
  const end = clock.monotonicMs() + settings.rebuildTimeMs;
  for (const choice of chosen) {
    if (clock.monotonicMs() > end || context.signal.aborted) break;
    const reason = `bloated: ${String(choice.sizeBytes)} bytes, ${String(choice.neededBytes)} needed`;
    const { actor } = options.rebuild;
    const result = await rebuildOne(context, { index: choice.name, actor, reason, foretold: choice });
    rebuilt.push({ choice, result });
    const { outcome } = result;
    // A person's Ctrl-C means all.
    if (outcome?.kind === "interrupted" || (outcome?.kind === "refused" && refusesAll.has(outcome.code))) break;
  }
  if (rebuilt.length > 0) await checkHealth(context, { record, readBytes: options.readBytes });
  return { report, chosen, declined, rebuilt, leftForNextRun: chosen.length - rebuilt.length };
};
