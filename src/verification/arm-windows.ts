import type { ArmName, ArmWindow, Block, StatementCounters, VoidStretch } from "../domain/index.ts";
import type { LatencyHistogram } from "../statistics/index.ts";
import type { ArmEvidence } from "./arms.ts";

/** What was recorded of an experiment, as evidence. */
export interface RecordedEvidence {
  /** Windows in which both arms had traffic of their own; units are those of the last share that was promised. */
  readonly arms: Readonly<Record<ArmName, ArmEvidence>>;
  /** Share that was promised to the treatment in the windows whose units were counted. */
  readonly treatmentShare: number;
  /** Windows in which the treatment had everything. */
  readonly full: readonly Block[];
}

interface Slot {
  readonly at: number;
  /** Null where it changed within the window, or processes differed. */
  readonly share: number | null;
  readonly voidReason: string | null;
  readonly windows: Partial<Record<ArmName, ArmWindow>>;
}

/**
 * What was recorded of an experiment as evidence: every window from the first to the last that is over, an arm's empty ones among them. A window that a void
 * stretch touches is void, as is one in which not all drew by the same share.
 * @param time when the experiment was laid down, before which nothing is evidence, and now
 * @param deciding fingerprints whose times make the quantiles; null or none: all
 */
export const evidenceOfWindows = (
  windows: readonly ArmWindow[],
  voids: readonly VoidStretch[],
  blockMs: number,
  time: { readonly from: Date; readonly now: Date },
  deciding: readonly string[] | null = null,
): RecordedEvidence => {
  const slots = slotsOf(windows, voids, blockMs, time);
  const split = slots.filter(({ share }) => share !== 1);
  const treatmentShare = split.findLast(({ share }) => share !== null)?.share ?? 0.5;
  const counts = new Set(deciding);
  const isCounted = counts.size === 0 ? () => true : (fingerprint: string) => counts.has(fingerprint);
  const blockOf = ({ at, voidReason, windows: found }: Slot, arm: ArmName): Block => ({
    startedAt: new Date(at * blockMs),
    endedAt: new Date((at + 1) * blockMs),
    voidReason,
    statements: countersOf(found[arm]),
  });
  // Of slices of time, and of what came from a connection whose transactions are not told apart, no units are known.
  const isUnitKnown = windows.some(({ units }) => units > 0);
  const armOf = (arm: ArmName): ArmEvidence => {
    const units = { all: 0, failed: 0 };
    for (const slot of split) {
      if (slot.voidReason !== null || slot.share !== treatmentShare) continue;
      units.all += slot.windows[arm]?.units ?? 0;
      units.failed += slot.windows[arm]?.failedUnits ?? 0;
    }
    return {
      blocks: split.map((slot) => blockOf(slot, arm)),
      latencies: split.map((slot) => latenciesOf(slot.windows[arm], isCounted)),
      units: isUnitKnown ? units : null,
    };
  };
  return {
    arms: { control: armOf("control"), treatment: armOf("treatment") },
    treatmentShare,
    full: slots.filter(({ share }) => share === 1).map((slot) => blockOf(slot, "treatment")),
  };
};

const slotsOf = (
  windows: readonly ArmWindow[],
  voids: readonly VoidStretch[],
  blockMs: number,
  { from, now }: { readonly from: Date; readonly now: Date },
): readonly Slot[] => {
  const bySlot = new Map<number, Partial<Record<ArmName, ArmWindow>>>();
  for (const window of windows) {
    if (window.slot < Math.floor(from.getTime() / blockMs)) continue;
    bySlot.set(window.slot, { ...bySlot.get(window.slot), [window.arm]: window });
  }
  const first = Math.min(...bySlot.keys());
  const last = Math.min(Math.max(...bySlot.keys()), Math.floor(now.getTime() / blockMs) - 1);
  const slots: Slot[] = [];
  if (!Number.isFinite(first)) return slots;
  let before: number | null = null;
  for (let at = first; at <= last; at += 1) {
    const found = bySlot.get(at) ?? {};
    const shares = new Set([found.control, found.treatment].flatMap((one) => (one === undefined ? [] : [one.share])));
    // A window without traffic belongs to what was before.
    const [own, other] = shares;
    const share: number | null = own === undefined ? before : own;
    const isMixed = other !== undefined || share === null;
    const touching = voids.find(({ from, to }) => from.getTime() < (at + 1) * blockMs && to.getTime() > at * blockMs);
    const voidReason = touching?.reason ?? (isMixed ? "the treatment's share changed" : null);
    slots.push({ at, share: isMixed ? null : share, voidReason, windows: found });
    if (!isMixed) before = share;
  }
  return slots;
};

/** The hook sees no pages. */
const countersOf = (window: ArmWindow | undefined): ReadonlyMap<string, StatementCounters> =>
  new Map(
    [...(window?.statements ?? [])].map(([fingerprint, { calls, totalMs, rows }]) => [
      fingerprint,
      { calls, totalMs, stddevMs: null, rows, sharedBlocksHit: 0, sharedBlocksRead: 0, tempBlocks: 0, walBytes: 0 },
    ]),
  );

const latenciesOf = (window: ArmWindow | undefined, isCounted: (fingerprint: string) => boolean): LatencyHistogram => {
  const all = new Map<number, number>();
  for (const [fingerprint, { latencies }] of window?.statements ?? []) {
    if (!isCounted(fingerprint)) continue;
    for (const [bucket, count] of latencies) all.set(bucket, (all.get(bucket) ?? 0) + count);
  }
  return all;
};
