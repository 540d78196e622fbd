import type { Block, Interval } from "../domain/index.ts";

/** `−99.6 %`, `+12 %`; beyond a tenfold `×37`. Never rounds a rest away: −99.97 % is `−99.9 %`, not all of it. */
export const percent = (fraction: number): string => {
  if (fraction > 9) return fraction < 999 ? `×${(fraction + 1).toFixed(0)}` : "more than ×1000";
  const size = Math.abs(fraction * 100);
  const sign = fraction < 0 ? "−" : "+";
  if (size > 99 && fraction < 0) return `${sign}${(Math.floor(size * 10) / 10).toFixed(1)} %`;
  return `${size === 0 ? "" : sign}${size.toFixed(size < 10 ? 1 : 0)} %`;
};

/** A share of a whole, without a sign. */
export const share = (fraction: number): string => `${(fraction * 100).toFixed(fraction < 0.1 ? 1 : 0)} %`;

export const milliseconds = (ms: number): string => `${ms >= 100 ? ms.toFixed(0) : ms.toPrecision(3)} ms`;

export const between = (interval: Interval): string => `between ${percent(interval.low)} and ${percent(interval.high)}`;

/** "3 void blocks after the change (2 × statistics reset, 1 × restart)"; null when all are sound. */
export const voidBlocks = (blocks: readonly Pick<Block, "voidReason">[], when: string): string | null => {
  const counts = new Map<string, number>();
  for (const { voidReason } of blocks)
    if (voidReason !== null) counts.set(voidReason, (counts.get(voidReason) ?? 0) + 1);
  if (counts.size === 0) return null;
  const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
  const reasons = [...counts].map(([reason, count]) => `${count} × ${reason}`).join(", ");
  return `${total} void block${total === 1 ? "" : "s"} ${when} (${reasons})`;
};

export const sentence = (parts: readonly (string | null)[]): string => parts.filter((part) => part !== null).join("; ");
