import { staleStatistics } from "../maintenance/index.ts";
import type { TableName } from "../domain/index.ts";
import { openSession, quoteName, readCatalog, type Session } from "../postgres/index.ts";
import { analyzeTable } from "../rollout/index.ts";
import type { Rollout } from "./rollout-context.ts";
import { mayBeBuilt } from "./modes.ts";
import { type PilotContext, withSession } from "./target.ts";
import { withRollout } from "./verify.ts";

/** What became of a table whose statistics were stale. */
export interface Refreshed {
  readonly table: TableName;
  readonly done: boolean;
  readonly code: string;
  readonly reason: string;
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
): Promise<Pick<Refreshed, "done" | "code" | "reason">> => {
  const refused = (code: string, reason: string) => ({ done: false, code, reason });
  if ((await rollout.store.stop.get()) !== null) return refused("stopped", "somebody stopped everything");
  if (!mayBeBuilt(table, context.settings)) return refused("mode", "the table's mode lets nothing be changed");
  if (!(await mayAnalyze(rollout.build, table)))
    return refused("privilege_missing", `role "${rollout.build.target.user}" does not own the table`);
  context.emit({ kind: "step", text: `analysing ${quoteName(table)}` });
  const { done, reason } = await analyzeTable(rollout, table);
  return done ? { done, code: "stale", reason: "its statistics were stale" } : refused("gave_way", reason ?? "");
};

/**
 * Analyses the tables whose statistics say too little, one after the other, where the table's mode lets it be changed and nobody has stopped everything. What is
 * locked is left to the next run. What came of each is recorded.
 * @throws IndexPilotError as `openSession` does; `refused` where another process has the build lock
 */
export const refreshStatistics = async (context: PilotContext, actor: string): Promise<readonly Refreshed[]> => {
  const stale = await withSession(openSession(context.observe, "observe"), async (session) =>
    staleStatistics((await readCatalog(session)).tables),
  );
  if (stale.length === 0) return [];
  return withRollout(
    context,
    { name: actor, consents: true },
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
