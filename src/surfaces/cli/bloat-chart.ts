import type { IndexHealth } from "../../pilot/index.ts";
import type { Terminal } from "./terminal.ts";

const blocks = "▁▂▃▄▅▆▇█";
const cells = 20;
const rows = 8;

const percent = (share: number): string => `${(100 * share).toFixed(0)} %`;

/** At most so many, evenly over all, the last among them. */
const sampled = <T>(values: readonly T[], most: number): readonly T[] =>
  values.length <= most
    ? values
    : Array.from({ length: most }, (_, i) => values[Math.round((i * (values.length - 1)) / (most - 1))]).flatMap(
        (one) => one ?? [],
      );

/** `▁▁▂▂▃│▃▄  18 % → 24 % (21 to 27 %)`: what was seen, what is forecast, and the interval of its last day. Empty without a forecast. */
export const sparkline = ({ history, forecast }: IndexHealth): string => {
  if (forecast?.kind !== "forecast") return "";
  const past = sampled(history, cells).map(({ share }) => share);
  const ahead = forecast.at.map(({ value }) => value);
  const last = forecast.at.at(-1);
  if (last === undefined) return "";
  const [low, high] = [Math.min(...past, ...ahead), Math.max(...past, ...ahead)];
  const block = (share: number): string =>
    blocks[high === low ? 0 : Math.round(((share - low) / (high - low)) * (blocks.length - 1))] ?? "";
  return `${past.map(block).join("")}│${ahead.map(block).join("")} ${percent(past.at(-1) ?? 0)} → ${percent(last.value)} (${percent(last.low)} to ${percent(last.high)})`;
};

/** Past as `●`, forecast as `○`, its interval as `░`, and the threshold as a line, over time. */
export const bloatChart = (
  { history, forecast }: IndexHealth,
  threshold: number,
  { colors }: Terminal,
): readonly string[] => {
  const past = sampled(history, 40).map(({ share }) => ({ value: share, low: share, high: share, mark: "●" }));
  const ahead =
    forecast?.kind === "forecast"
      ? sampled(forecast.at, 30).flatMap(({ value, low, high }) => {
          const one = { value, low, high, mark: "○" };
          return [one, one];
        })
      : [];
  const columns = [...past, ...ahead];
  if (columns.length === 0) return [];
  const top = Math.min(1, 1.1 * Math.max(threshold, ...columns.map(({ high }) => high)));
  const rowOf = (share: number): number => Math.min(rows - 1, Math.floor((share / top) * rows));
  return Array.from({ length: rows }, (_, i) => {
    const row = rows - 1 - i;
    const line = columns
      .map(({ value, low, high, mark }) => {
        if (rowOf(value) === row) return colors.cyan(mark);
        if (row >= rowOf(low) && row <= rowOf(high)) return colors.dim("░");
        return rowOf(threshold) === row ? colors.yellow("┄") : " ";
      })
      .join("");
    return `${percent(((row + 0.5) * top) / rows).padStart(6)} ${colors.dim("┤")}${line}`;
  });
};
