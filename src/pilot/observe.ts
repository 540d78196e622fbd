import type { Block } from "../domain/index.ts";
import type { Session } from "../postgres/index.ts";
import type { Clock } from "../runtime/index.ts";
import {
  blockBetween,
  readStatementsSnapshot,
  readTables,
  type StatementsSnapshot,
  tablesBetween,
} from "../workload/index.ts";
import type { Emit } from "./events.ts";

export interface ObserveInput {
  readonly session: Session;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly emit: Emit;
  readonly blockMs: number;
  /** How long nothing is looked at before the next block; asked after each. Default 0: each block ends where the next begins. */
  readonly pauseMs?: () => number;
  /** Roles whose statements are not the application's: our own. */
  readonly excludeRoles: readonly string[];
}

export interface ObservedBlock {
  readonly block: Block;
  readonly snapshot: StatementsSnapshot;
}

/** Takes a snapshot now; each further call gives the block since the one before. */
export const openBlocks = async (
  session: Session,
  excludeRoles: readonly string[],
): Promise<() => Promise<ObservedBlock>> => {
  let before = await readStatementsSnapshot(session, { excludeRoles });
  let tablesBefore = await readTables(session);
  return async () => {
    const snapshot = await readStatementsSnapshot(session, { excludeRoles, previous: before });
    const tables = await readTables(session);
    const block = { ...blockBetween(before, snapshot), tables: tablesBetween(tablesBefore, tables) };
    [before, tablesBefore] = [snapshot, tables];
    return { block, snapshot };
  };
};

/** Snapshots at even distances, as blocks, with whatever pauses the caller wants, until the caller has seen enough. The first one needs one block's time. */
export async function* observeBlocks(input: ObserveInput): AsyncGenerator<ObservedBlock> {
  const { session, clock, signal, blockMs, excludeRoles } = input;
  let next = await openBlocks(session, excludeRoles);
  let due = clock.monotonicMs() + blockMs;
  for (;;) {
    await clock.sleep(Math.max(0, due - clock.monotonicMs()), signal);
    due += blockMs;
    yield await next();
    const pauseMs = input.pauseMs?.() ?? 0;
    if (pauseMs === 0) continue;
    await clock.sleep(pauseMs, signal);
    next = await openBlocks(session, excludeRoles);
    due = clock.monotonicMs() + blockMs;
  }
}
