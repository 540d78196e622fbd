import { failure } from "../errors.ts";

const sizeUnits: Readonly<Record<string, number>> = {
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
};

/**
 * Reads a size: `250MB`, `1.5 GB` (powers of ten) or `250MiB`, `1GiB` (powers of two); a bare number is bytes.
 * @returns bytes, a positive integer
 * @throws IndexPilotError `usage`
 */
export const parseSize = (text: string): number => {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text.trim());
  const unit = sizeUnits[(match?.[2] ?? "").toLowerCase() || "b"];
  const bytes = match === null || unit === undefined ? Number.NaN : Math.round(Number(match[1]) * unit);
  if (!Number.isSafeInteger(bytes)) {
    throw failure("usage", { problem: `"${text}" is not a size`, hint: "write it as 250MB, 1GB, 250MiB or 1GiB" });
  }
  if (bytes <= 0)
    throw failure("usage", { problem: `a size of ${text} leaves room for nothing`, hint: "give a size above zero" });
  return bytes;
};

/** A size for people, in powers of ten, three significant digits: `1.23 GB`. */
export const formatSize = (bytes: number): string => {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let value = Math.abs(bytes);
  let at = 0;
  while (value >= 999.5 && at < units.length - 1) {
    value /= 1000;
    at += 1;
  }
  const digits = at === 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  return `${bytes < 0 ? "-" : ""}${value.toFixed(digits)} ${units[at] ?? ""}`;
};

const timeUnits: Readonly<Record<string, number>> = { ms: 1, s: 1e3, m: 60e3, min: 60e3, h: 3_600e3, d: 86_400e3 };

/**
 * Reads a time span: `500ms`, `30s`, `10m`, `2h`, `1d`.
 * @returns milliseconds, above zero
 * @throws IndexPilotError `usage`
 */
export const parseDuration = (text: string): number => {
  const match = /^(\d+(?:\.\d+)?)\s*(ms|s|m|min|h|d)$/.exec(text.trim());
  const unit = timeUnits[match?.[2] ?? ""];
  if (match === null || unit === undefined || Number(match[1]) <= 0) {
    throw failure("usage", { problem: `"${text}" is not a time span`, hint: "write it as 30s, 10m or 2h" });
  }
  return Math.round(Number(match[1]) * unit);
};

/** A time span for people: `850 ms`, `12.3 s`, `4 min 5 s`, `2 h 10 min`, `7 days`. */
export const formatDuration = (ms: number): string => {
  if (ms < 10) return `${ms.toFixed(2)} ms`;
  if (ms < 999.5) return `${ms.toFixed(0)} ms`;
  if (ms < 59_950) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 3600)
    return `${String(Math.floor(seconds / 60))} min${seconds % 60 === 0 ? "" : ` ${String(seconds % 60)} s`}`;
  const minutes = Math.round(seconds / 60);
  if (minutes >= 2880) {
    const hours = Math.round(minutes / 60);
    return `${String(Math.floor(hours / 24))} days${hours % 24 === 0 ? "" : ` ${String(hours % 24)} h`}`;
  }
  return `${String(Math.floor(minutes / 60))} h${minutes % 60 === 0 ? "" : ` ${String(minutes % 60)} min`}`;
};
