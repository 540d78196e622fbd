import type { Settings } from "../config/index.ts";
import type { TableName } from "../domain/index.ts";
import { type Choice, chooseRebuilds, type DeclinedRebuild } from "../maintenance/index.ts";
import { checkHealth, type HealthReport } from "./health.ts";
import { reindexIndex, type Reindexed } from "./reindex.ts";
import type { PilotContext } from "./target.ts";

export interface Maintained {
  readonly report: HealthReport;
  readonly chosen: readonly Choice[];
  readonly declined: readonly DeclinedRebuild[];
  /** What was begun, in order; empty in a dry run. */
  readonly rebuilt: readonly { readonly choice: Choice; readonly result: Reindexed }[];
  /** Chosen, and not begun because the run's time was over. */
  readonly leftForNextRun: number;
}

const gone = new Set(["redundant", "unused", "invalid", "invalid_ours", "being_built", "on_trial"]);

/** What one run would rebuild, of the tables that it may. */
export const chooseFrom = (
  report: HealthReport,
  settings: Settings,
  may: (table: TableName) => boolean = () => true,
): ReturnType<typeof chooseRebuilds> =>
  chooseRebuilds(
    report.indexes
      .filter(({ judgement }) => may(judgement.table))
      .map(({ judgement, method, bloat, tableBytes, returnedAfterDays }) => ({
        oid: judgement.oid,
        name: `${judgement.schema}.${judgement.name}`,
        method,
        sizeBytes: judgement.sizeBytes,
        tableBytes,
        bloat,
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

/**
 * Looks at all indexes, and rebuilds those that are bloated and worth it, one after the other, each under a permit of its own: window, load, lag and disk are
 * asked before each. The look is remembered when something may be rebuilt, and a last one after it, so that what came is kept beside what was predicted.
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
  const rebuilt: { choice: Choice; result: Reindexed }[] = [];
  if (options.rebuild === null) return { report, chosen, declined, rebuilt, leftForNextRun: 0 };
  const end = clock.monotonicMs() + settings.rebuildTimeMs;
  for (const choice of chosen) {
    if (clock.monotonicMs() > end || context.signal.aborted) break;
    const reason = `bloated: ${String(choice.sizeBytes)} bytes, ${String(choice.neededBytes)} needed`;
    const { actor } = options.rebuild;
    const result = await reindexIndex(context, { index: choice.name, actor, reason, foretold: choice });
    rebuilt.push({ choice, result });
    const kind = result.outcome?.kind;
    // What refuses one refuses the next as well, and a person's Ctrl-C means all.
    if (kind === "refused" || kind === "deferred" || kind === "interrupted") break;
  }
  if (rebuilt.length > 0) await checkHealth(context, { record, readBytes: options.readBytes });
  return { report, chosen, declined, rebuilt, leftForNextRun: chosen.length - rebuilt.length };
};
