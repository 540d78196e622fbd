import { type ArmName, armNames, type Block } from "../domain/index.ts";
import type { RecordedEvidence } from "./arm-windows.ts";

/** What the server counted of both arms apart, in the same blocks of time; by fingerprint. */
export interface PageEvidence {
  /** A block that is void in one arm is void in both. */
  readonly control: readonly Block[];
  readonly treatment: readonly Block[];
  /** Calls by fingerprint that were recorded by units of each arm within the sound ones. */
  readonly recorded: Readonly<Record<ArmName, ReadonlyMap<string, number>>>;
}

/**
 * What the server counted while the arms ran side by side, beside what was recorded of them then. Blocks in which they did not, or not all the time, are left out;
 * those that a void window touches are void. A window that lies in two blocks is taken to have its calls spread evenly.
 * @param counted of each arm, the same blocks in order
 */
export const pageEvidence = (
  { arms }: RecordedEvidence,
  counted: Readonly<Record<ArmName, readonly Block[]>>,
): PageEvidence => {
  const recorded = { control: new Map<string, number>(), treatment: new Map<string, number>() };
  const kept: Record<ArmName, Block[]> = { control: [], treatment: [] };
  const windows = arms.control.blocks;
  let first = 0;
  for (const [i, { startedAt, endedAt, voidReason: own }] of counted.control.entries()) {
    const [from, to] = [startedAt.getTime(), endedAt.getTime()];
    while ((windows[first]?.endedAt.getTime() ?? Number.POSITIVE_INFINITY) <= from) first += 1;
    const touching: { readonly at: number; readonly share: number }[] = [];
    let [coveredMs, voidReason] = [0, own];
    for (let at = first; (windows[at]?.startedAt.getTime() ?? Number.POSITIVE_INFINITY) < to; at += 1) {
      const window = windows[at];
      if (window === undefined) break;
      const [begin, end] = [window.startedAt.getTime(), window.endedAt.getTime()];
      const commonMs = Math.min(end, to) - Math.max(begin, from);
      coveredMs += commonMs;
      voidReason ??= window.voidReason;
      touching.push({ at, share: commonMs / (end - begin) });
    }
    if (coveredMs < to - from) continue;
    for (const arm of armNames) {
      const block = counted[arm][i];
      if (block !== undefined) kept[arm].push({ ...block, voidReason });
      if (voidReason !== null) continue;
      for (const { at, share } of touching) {
        for (const [id, { calls }] of arms[arm].blocks[at]?.statements ?? []) {
          recorded[arm].set(id, (recorded[arm].get(id) ?? 0) + share * calls);
        }
      }
    }
  }
  return { ...kept, recorded };
};
