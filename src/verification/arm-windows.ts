import type { ArmName, ArmWindow, Block, StatementCounters, VoidStretch } from "../domain/index.ts";
import type { LatencyHistogram } from "../statistics/index.ts";
import type { ArmEvidence } from "./arms.ts";

/**
 * What was recorded of an experiment as evidence: every window from the first to the last that is over, an arm's empty ones among them. A window that a void
 * stretch touches is void. The units are those of the sound windows.
 */
export const evidenceOfWindows = (
  windows: readonly ArmWindow[],
  voids: readonly VoidStretch[],
  blockMs: number,
  now: Date,
): Readonly<Record<ArmName, ArmEvidence>> => {
  const slots = windows.map(({ slot }) => slot);
  const first = Math.min(...slots);
  const last = Math.min(Math.max(...slots), Math.floor(now.getTime() / blockMs) - 1);
  const count = Number.isFinite(first) ? Math.max(0, last - first + 1) : 0;
  const found = new Map(windows.map((window) => [`${window.arm} ${String(window.slot)}`, window]));
  const armOf = (arm: ArmName): ArmEvidence => {
    const blocks: Block[] = [];
    const latencies: LatencyHistogram[] = [];
    const units = { all: 0, failed: 0 };
    for (let slot = first; slot < first + count; slot += 1) {
      const startedAt = new Date(slot * blockMs);
      const endedAt = new Date((slot + 1) * blockMs);
      const touching = voids.find(({ from, to }) => from < endedAt && to > startedAt);
      const window = found.get(`${arm} ${String(slot)}`);
      blocks.push({ startedAt, endedAt, voidReason: touching?.reason ?? null, statements: countersOf(window) });
      latencies.push(latenciesOf(window));
      if (touching !== undefined || window === undefined) continue;
      units.all += window.units;
      units.failed += window.failedUnits;
    }
    return { blocks, latencies, units };
  };
  return { control: armOf("control"), treatment: armOf("treatment") };
};

/** The hook sees no pages. */
const countersOf = (window: ArmWindow | undefined): ReadonlyMap<string, StatementCounters> =>
  new Map(
    [...(window?.statements ?? [])].map(([fingerprint, { calls, totalMs, rows }]) => [
      fingerprint,
      { calls, totalMs, stddevMs: null, rows, sharedBlocksHit: 0, sharedBlocksRead: 0, tempBlocks: 0, walBytes: 0 },
    ]),
  );

const latenciesOf = (window: ArmWindow | undefined): LatencyHistogram => {
  const all = new Map<number, number>();
  for (const { latencies } of window?.statements.values() ?? []) {
    for (const [bucket, count] of latencies) all.set(bucket, (all.get(bucket) ?? 0) + count);
  }
  return all;
};
