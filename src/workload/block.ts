import type { Block, StatementCounters } from "../domain/index.ts";
import { combined, difference, wentBack } from "./counters.ts";
import type { SnapshotRow, StatementsSnapshot } from "./snapshot.ts";

const sameTime = (a: Date | null, b: Date | null): boolean => a?.getTime() === b?.getTime();

/** Why counters of the two snapshots cannot be subtracted at all; null when they can. */
export const discontinuity = (before: StatementsSnapshot, after: StatementsSnapshot): string | null => {
  if (!sameTime(before.serverStartedAt, after.serverStartedAt)) return "the server was restarted";
  if (!sameTime(before.resetAt, after.resetAt)) return "pg_stat_statements was reset";
  return null;
};

/** Whether a row was started anew since it was read before. */
export const restarted = (after: SnapshotRow, before: SnapshotRow): boolean =>
  !sameTime(after.since, before.since) || wentBack(after.counters, before.counters);

/**
 * What happened between two snapshots. `ofInterest` are the ids whose loss makes the block void (default: all of them): a statement that was thrown out
 * or reset on its own has an unknown number of calls. Without a common clock of the counters (restart, reset) the block is void and empty.
 */
export const blockBetween = (
  before: StatementsSnapshot,
  after: StatementsSnapshot,
  ofInterest?: ReadonlySet<string>,
): Block => {
  const startedAt = before.takenAt;
  const endedAt = after.takenAt;
  const broken = discontinuity(before, after);
  if (broken !== null) return { startedAt, endedAt, voidReason: broken, statements: new Map() };

  const early = new Map(before.rows.map((row) => [row.key, row]));
  const late = new Map(after.rows.map((row) => [row.key, row]));
  const lost = before.rows.filter((row) => {
    const now = late.get(row.key);
    return now === undefined || restarted(now, row);
  });
  const matters = lost.some(({ id }) => id !== null && (ofInterest === undefined || ofInterest.has(id)));
  const evicted = before.deallocations !== after.deallocations;

  const statements = new Map<string, StatementCounters>();
  for (const row of after.rows) {
    const first = early.get(row.key);
    if (row.id === null || (first !== undefined && restarted(row, first))) continue;
    const counters = first === undefined ? row.counters : difference(row.counters, first.counters);
    if (counters.calls <= 0) continue;
    const sum = statements.get(row.id);
    statements.set(row.id, sum === undefined ? counters : combined(sum, counters));
  }
  return {
    startedAt,
    endedAt,
    voidReason: !matters
      ? null
      : evicted
        ? "the server threw out statements to make room (pg_stat_statements.max)"
        : "the counters of a statement were reset",
    statements,
  };
};
