import { renderProveIdle, type Session, SqlState, sqlStateOf } from "../postgres/index.ts";
import { readTableName } from "./statements.ts";

/**
 * Proves that nobody builds an index on the table: every build holds SHARE UPDATE EXCLUSIVE to its end, and we get it without waiting.
 * Held for one round trip; reads and writes go on. Needs the table's owner role. A table that is gone is idle.
 */
export const isIdle = async (build: Session, tableOid: number): Promise<boolean> => {
  const table = await readTableName(build, tableOid);
  if (table === null) return true;
  await build.query("begin");
  try {
    await build.query(renderProveIdle(table));
    return true;
  } catch (error) {
    if (sqlStateOf(error) === SqlState.lockNotAvailable) return false;
    throw error;
  } finally {
    await build.query("rollback");
  }
};
