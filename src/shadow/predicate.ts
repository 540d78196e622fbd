import { tableId } from "../domain/index.ts";
import { decodePlan } from "../plan/index.ts";
import { quoteName, type Session, sqlStateOf } from "../postgres/index.ts";
import type { StoredTable } from "./candidates.ts";

/**
 * How many of each table's rows a partial index's predicate lets in, as the planner estimates it. Empty without a predicate, and for a predicate that cannot be planned,
 * whose index cannot be built either.
 * @param session the one that plans
 */
export const readPredicateRows = async (
  session: Session,
  predicate: string | null,
  tables: readonly StoredTable[],
): Promise<ReadonlyMap<string, number>> => {
  const rows = new Map<string, number>();
  if (predicate === null) return rows;
  for (const { table } of tables) {
    try {
      const [answer] = await session.query<{ "QUERY PLAN": unknown }>(
        `explain (format json) select from only ${quoteName(table)} where ${predicate}`,
      );
      rows.set(tableId(table), decodePlan(answer?.["QUERY PLAN"]).root.rows);
    } catch (error) {
      if (sqlStateOf(error) === null) throw error;
    }
  }
  return rows;
};
