import type { Objection, TableName } from "../domain/index.ts";
import { renderAnalyze } from "../postgres/index.ts";
import { lockBudgetOf, type RolloutContext } from "./context.ts";
import { describeSqlState } from "./reasons.ts";
import { runWatched } from "./watched.ts";

/**
 * The planner knows nothing about the values of an index's expressions before the table is analysed, guesses, and may leave the index aside. Autovacuum analyses after
 * so many changed rows, not after a build. An index that was not analysed is built all the same. As {@link analyzeTable}.
 * @returns null where the index has no expressions; else whether it was analysed, and why not
 * @throws IndexPilotError `connection_lost`
 */
export const analyzeExpressions = async (
  context: RolloutContext,
  table: TableName,
  indexOid: number,
): Promise<{ readonly done: boolean; readonly reason?: string } | null> => {
  const found = await context.build.query(
    "select from pg_catalog.pg_index where indexrelid = $1 and indexprs is not null",
    [indexOid],
  );
  if (found.length === 0) return null;
  return analyzeTable(context, table);
};

/**
 * Analyses a table, watched as a build is: it gives way to whom it makes wait. It waits itself no longer than the lock budget, for who is in its way (VACUUM, a build)
 * does not end for it.
 *
 * @param halts whether a safeguard wants it to end
 * Locks: SHARE UPDATE EXCLUSIVE on the table while a sample is read; reads and writes go on. Needs ownership, or MAINTAIN from 17 on.
 * @throws IndexPilotError `connection_lost`
 */
export const analyzeTable = async (
  context: RolloutContext,
  table: TableName,
  halts?: () => Promise<Objection | null>,
): Promise<{ readonly done: boolean; readonly reason?: string }> => {
  const { build, watch, clock, signal } = context;
  const lockBudgetMs = lockBudgetOf(context);
  await build.query(`set lock_timeout = '${String(lockBudgetMs)}ms'`);
  try {
    const ended = await runWatched({ sql: renderAnalyze(table), build, watch, clock, signal, lockBudgetMs, halts });
    switch (ended.kind) {
      case "done":
        return { done: true };
      case "cancelled":
        return { done: false, reason: ended.because === "halt" ? ended.objection.reason : ended.because };
      case "failed":
        if (ended.sqlState === null) throw ended.error;
        return { done: false, reason: describeSqlState(ended.sqlState) };
    }
  } finally {
    // As the session was opened; `reset` would bring back what the role has set, and a build would end by it half-way.
    await build.query("set lock_timeout = 0");
  }
};
