import type { Block, Interval } from "../domain/index.ts";

export const percent = (fraction: number): string => {
  const value = fraction * 100;
  const digits = Math.abs(value) < 10 ? 1 : 0;
  return `${value > 0 ? "+" : value < 0 ? "−" : ""}${Math.abs(value).toFixed(digits)} %`;
};

export const milliseconds = (ms: number): string => `${ms >= 100 ? ms.toFixed(0) : ms.toPrecision(3)} ms`;

export const between = (interval: Interval): string => `between ${percent(interval.low)} and ${percent(interval.high)}`;

/** "3 void blocks after the change (2 × statistics reset, 1 × restart)"; null when all are sound. */
export const voidBlocks = (blocks: readonly Block[], when: string): string | null => {
  const counts = new Map<string, number>();
  for (const { voidReason } of blocks)
    if (voidReason !== null) counts.set(voidReason, (counts.get(voidReason) ?? 0) + 1);
  if (counts.size === 0) return null;
  const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
  const reasons = [...counts].map(([reason, count]) => `${count} × ${reason}`).join(", ");
  return `${total} void block${total === 1 ? "" : "s"} ${when} the change (${reasons})`;
};

export const sentence = (parts: readonly (string | null)[]): string => parts.filter((part) => part !== null).join("; ");
