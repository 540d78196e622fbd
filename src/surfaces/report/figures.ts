import { formatSize } from "../../config/index.ts";

const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"] as const;

/** `24 %`, not to be broken; below 10 % with a digit after the point, where that says something. */
export const percent = (share: number): string => {
  const value = 100 * share;
  const digits = value < 9.95 && Math.abs(value - Math.round(value)) > 0.05 ? 1 : 0;
  return `${value.toFixed(digits)}\u00A0%`;
};

/** `1.23 GB`, not to be broken. */
export const bytesText = (bytes: number): string => formatSize(bytes).replace(" ", "\u00A0");

/** `28 Nov`, UTC as all times of a report. */
export const dayMonth = (at: Date): string => `${String(at.getUTCDate())} ${months[at.getUTCMonth()] ?? ""}`;

export const dayText = (at: Date): string => at.toISOString().slice(0, 10);

export const minuteText = (at: Date): string => `${at.toISOString().slice(0, 16).replace("T", " ")} UTC`;

/** `1 index`, `3 indexes`. */
export const counted = (count: number, one: string, many = `${one}s`): string =>
  `${String(count)} ${count === 1 ? one : many}`;
