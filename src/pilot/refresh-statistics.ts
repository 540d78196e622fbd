import { staleStatistics } from "../maintenance/index.ts";
import type { Objection, TableName } from "../domain/index.ts";
import { openSession, quoteName, readCatalog, type Session } from "../postgres/index.ts";
import { analyzeTable } from "../rollout/index.ts";
import type { Actor, Rollout } from "./rollout-context.ts";
import { isAutopilot, mayBeBuilt } from "./modes.ts";
import { type PilotContext, withSession } from "./target.ts";
import { withRollout } from "./verify.ts";

/** What became of a table whose statistics were stale. */
export interface Refreshed {
  readonly table: TableName;
  readonly done: boolean;
  readonly code: string;
  readonly reason: string;
  /** When to try again, where a safeguard knows it. */
  readonly retryAt: Date | null;
}

/** Without the privilege ANALYZE warns, does nothing, and succeeds. */
const mayAnalyze = async (session: Session, table: TableName): Promise<boolean> => {
  const maintain = session.versionNum >= 170_000 ? "or pg_catalog.has_table_privilege(c.oid, 'maintain')" : "";
  const rows = await session.query(
    `select from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      where n.nspname = $1 and c.relname = $2 and (pg_catalog.pg_has_role(c.relowner, 'usage') ${maintain})`,
    [table.schema, table.name],
  );
  return rows.length > 0;
};

const refresh = async (
  context: PilotContext,
  rollout: Rollout,
  table: TableName,
): Promise<Omit<Refreshed, "table">> => {
  const refused = (code: string, reason: string, retryAt: Date | null = null) => ({
    done: false,
    code,
    reason,
    retryAt,
  });
  if ((await rollout.store.stop.get()) !== null) return refused("stopped", "somebody stopped everything");
  if (!mayBeBuilt(table, context.settings)) return refused("mode", "the table's mode lets nothing be changed");
  if (!(await mayAnalyze(rollout.build, table)))
    return refused("privilege_missing", `role "${rollout.build.target.user}" does not own the table`);
  // Windows, load and lag are to it what they are to a rebuild.
  const halts = async (): Promise<Objection | null> => (await rollout.halts?.("reindex")) ?? null;
  const halted = await halts();
  if (halted !== null) return refused(halted.code, halted.reason, halted.retryAt);
  context.emit({ kind: "step", text: `analysing ${quoteName(table)}` });
  const { done, reason } = await analyzeTable(rollout, table, halts);
  return done
    ? { done, code: "stale", reason: "its statistics were stale", retryAt: null }
    : refused("gave_way", reason ?? "");
};

/**
 * Analyses the tables whose statistics say too little, one after the other, where the table's mode lets it be changed, in the maintenance windows, and nobody has
 * stopped everything; with nobody at the terminal where its mode is autopilot. What is locked is left to the next run. What came of each is recorded.
 * @throws IndexPilotError as `openSession` does; `refused` where another process has the build lock
 */
export const refreshStatistics = async (context: PilotContext, actor: Actor): Promise<readonly Refreshed[]> => {
  const found = await withSession(openSession(context.observe, "observe"), async (session) =>
    staleStatistics((await readCatalog(session)).tables),
  );
  const stale = found.filter(({ table }) => actor.consents || isAutopilot(table, context.settings));
  if (stale.length === 0) return [];
  return withRollout(
    context,
    actor,
    async (rollout) => {
      const refreshed: Refreshed[] = [];
      for (const { table } of stale) {
        if (context.signal.aborted) break;
        const came = await refresh(context, rollout, table);
        await rollout.store.decisions.record({
          at: rollout.clock.now(),
          subject: "analyze",
          deploymentId: null,
          rule: "pilot.refresh_statistics",
          outcome: came.done ? "done" : "refused",
          code: came.code,
          reason: `${quoteName(table)}: ${came.reason}`,
          inputs: { table: quoteName(table) },
        });
        refreshed.push({ table, ...came });
      }
      return refreshed;
    },
    { create: true },
  );
};
