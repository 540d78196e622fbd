import { type Session, SqlState, sqlStateOf } from "../postgres/index.ts";
import { lockBudgetOf, type RolloutContext } from "./context.ts";

/** How a short transaction ended; with a SQLSTATE nothing of it was done. */
export type Brief = { readonly kind: "done" } | { readonly kind: "undone"; readonly sqlState: string | null };

/**
 * Runs statements in one short transaction that gives up rather than wait: for each lock at most `limitMs`, and so long for each statement in all. Who queues
 * behind it waits no longer either, and the caller tries again. `check` runs before the commit; where it says no, nothing is done.
 * @throws whatever has no SQLSTATE, such as a lost connection
 */
export const briefly = async (
  session: Session,
  statements: readonly string[],
  limitMs: number,
  check: () => Promise<boolean> = () => Promise.resolve(true),
): Promise<Brief> => {
  const limit = `${String(Math.max(1, Math.round(limitMs)))}ms`;
  try {
    await session.query("begin read write");
    await session.query(`set local lock_timeout = '${limit}'`);
    await session.query(`set local statement_timeout = '${limit}'`);
    for (const statement of statements) await session.query(statement);
    if (!(await check())) {
      await session.query("rollback");
      return { kind: "undone", sqlState: null };
    }
    await session.query("commit");
    return { kind: "done" };
  } catch (error) {
    const sqlState = sqlStateOf(error);
    await session.query("rollback").catch(() => undefined);
    if (sqlState === null) throw error;
    return { kind: "undone", sqlState };
  }
};

const ATTEMPTS = 20;
const PAUSE_MS = 500;

/**
 * What needs the table, or all its partitions, to itself for a moment: tried again and again, each time with half the lock budget for the wait, so that nobody
 * who queues behind it waits longer than all of it.
 */
export const brieflyAgain = async (
  context: RolloutContext,
  statements: readonly string[],
): Promise<{ readonly ended: Brief; readonly isLocked: boolean }> => {
  for (let attempt = 1; ; attempt += 1) {
    const ended = await briefly(context.build, statements, lockBudgetOf(context) / 2);
    const isLocked =
      ended.kind === "undone" &&
      (ended.sqlState === SqlState.lockNotAvailable || ended.sqlState === SqlState.queryCanceled);
    if (!isLocked || attempt === ATTEMPTS || context.signal?.aborted === true) return { ended, isLocked };
    await context.clock.sleep(PAUSE_MS);
  }
};
