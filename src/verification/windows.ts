import type { Block, StatementCounters } from "../domain/index.ts";
import type { LatencyHistogram } from "../statistics/index.ts";

/**
 * More windows than this are merged by twos, by fours… More of them say hardly more about the noise, while longer ones depend less on one another, and a
 * look costs the same after three days as after an hour.
 */
export const mostWindows = 200;

/** How many neighbours become one window. */
export const mergedBy = (windows: number): number => {
  let by = 1;
  while (windows / by > mostWindows) by *= 2;
  return by;
};

/** So many neighbours at a time as one; the last ones, too few for a whole window, wait for more. */
const groupsOf = <T>(values: readonly T[], by: number): readonly (readonly T[])[] =>
  Array.from({ length: Math.floor(values.length / by) }, (_, i) => values.slice(i * by, (i + 1) * by));

/** Sound blocks, `by` neighbours at a time. Standard deviations are not kept: nothing is judged by them. */
export const mergeBlocks = (blocks: readonly Block[], by: number): readonly Block[] =>
  by === 1
    ? blocks
    : groupsOf(blocks, by).flatMap((group): Block[] => {
        const [first, last] = [group[0], group.at(-1)];
        if (first === undefined || last === undefined) return [];
        const statements = new Map<string, StatementCounters>();
        for (const block of group) {
          for (const [id, of] of block.statements) statements.set(id, sum(statements.get(id), of));
        }
        return [{ startedAt: first.startedAt, endedAt: last.endedAt, voidReason: null, statements }];
      });

const sum = (one: StatementCounters | undefined, two: StatementCounters): StatementCounters =>
  one === undefined
    ? two
    : {
        calls: one.calls + two.calls,
        totalMs: one.totalMs + two.totalMs,
        stddevMs: null,
        rows: one.rows + two.rows,
        sharedBlocksHit: one.sharedBlocksHit + two.sharedBlocksHit,
        sharedBlocksRead: one.sharedBlocksRead + two.sharedBlocksRead,
        tempBlocks: one.tempBlocks + two.tempBlocks,
        walBytes: one.walBytes + two.walBytes,
      };

export const mergeLatencies = (windows: readonly LatencyHistogram[], by: number): readonly LatencyHistogram[] =>
  by === 1
    ? windows
    : groupsOf(windows, by).map((group) => {
        const all = new Map<number, number>();
        for (const one of group) for (const [bucket, count] of one) all.set(bucket, (all.get(bucket) ?? 0) + count);
        return all;
      });
