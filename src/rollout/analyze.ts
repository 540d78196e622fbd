import type { TableName } from "../domain/index.ts";
import { renderAnalyze } from "../postgres/index.ts";
import { lockBudgetOf, type RolloutContext } from "./context.ts";
import { describeSqlState } from "./reasons.ts";
import { runWatched } from "./watched.ts";

/**
 * The planner knows nothing about the values of an index's expressions before the table is analysed, guesses, and may leave the index aside. Autovacuum analyses after
 * so many changed rows, not after a build. Gives way as a build does, and an index that was not analysed is built all the same.
 *
 * Locks: SHARE UPDATE EXCLUSIVE on the table while a sample is read. Needs ownership.
 * @returns null where the index has no expressions; else whether it was analysed, and why not
 * @throws IndexPilotError `connection_lost`
 */
export const analyzeExpressions = async (
  context: RolloutContext,
  table: TableName,
  indexOid: number,
): Promise<{ readonly done: boolean; readonly reason?: string } | null> => {
  const { build, watch, clock, signal } = context;
  const found = await build.query("select from pg_catalog.pg_index where indexrelid = $1 and indexprs is not null", [
    indexOid,
  ]);
  if (found.length === 0) return null;
  const sql = renderAnalyze(table);
  const ended = await runWatched({ sql, build, watch, clock, signal, lockBudgetMs: lockBudgetOf(context) });
  switch (ended.kind) {
    case "done":
      return { done: true };
    case "cancelled":
      return { done: false, reason: ended.because };
    case "failed":
      if (ended.sqlState === null) throw ended.error;
      return { done: false, reason: describeSqlState(ended.sqlState) };
  }
};
