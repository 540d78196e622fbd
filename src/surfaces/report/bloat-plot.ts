import type { IndexHealth } from "../../pilot/index.ts";
import { dayMonth, percent } from "./figures.ts";
import { html, type Markup } from "./markup.ts";

const DAY_MS = 86_400_000;
/** As wide as a phone shows it unscaled; on wider screens the plot, text and all, grows with its card. */
const size = { width: 400, height: 190, left: 42, right: 20, top: 10, bottom: 24 } as const;
/** More dots than this hide the line. */
const MOST_DOTS = 40;

type Day = Extract<IndexHealth["forecast"], { readonly kind: "forecast" }>["at"][number];
type Scale = (value: number) => string;

/** Steps between 0 and `top`, four or five of them, in round numbers. */
const sharesUpTo = (top: number): readonly number[] => {
  const step = [0.01, 0.02, 0.05, 0.1, 0.2].find((one) => top / one <= 5) ?? 0.25;
  return Array.from({ length: Math.ceil(top / step - 1e-9) + 1 }, (_, i) => i * step).filter((one) => one <= 1);
};

/** Days from now that are named on the axis: now, and evenly before and after it. */
const daysBetween = (first: number, last: number): readonly number[] => {
  const step = [1, 2, 7, 14, 28].find((one) => (last - first) / one <= 6) ?? 28;
  const from = Math.ceil(first / step);
  return Array.from({ length: Math.floor(last / step) - from + 1 }, (_, i) => (from + i) * step);
};

const line = (points: readonly (readonly [string, string])[]): string =>
  points.map(([x, y], i) => `${i === 0 ? "M" : "L"}${x} ${y}`).join("");

/** What the plot shows, in words. */
const described = ({ history, forecast, earlierForecasts }: IndexHealth, threshold: number): string => {
  const [first, last] = [history[0], history.at(-1)];
  const end = forecast?.kind === "forecast" ? forecast.at.at(-1) : undefined;
  return [
    first === undefined || last === undefined
      ? "Nothing was seen yet."
      : `Seen: ${percent(first.share)} on ${dayMonth(first.at)}, ${percent(last.share)} on ${dayMonth(last.at)}, ${String(history.length)} looks.`,
    end === undefined
      ? "No forecast."
      : `Forecast for ${dayMonth(end.at)}: ${percent(end.value)}, between ${percent(end.low)} and ${percent(end.high)} with 95 % confidence.`,
    ...(earlierForecasts.length === 0
      ? []
      : [
          `${String(earlierForecasts.filter(({ low, high, achieved }) => achieved >= low && achieved <= high).length)} of ${String(earlierForecasts.length)} earlier forecasts held.`,
        ]),
    `The threshold is ${percent(threshold)}.`,
  ].join(" ");
};

/** The forecast for as long as was asked for; where it crosses the threshold, until that is certain, or a week after it is likely. */
const pathOf = ({ forecast, reindex }: IndexHealth): readonly Day[] => {
  if (forecast?.kind !== "forecast") return [];
  if (reindex?.kind !== "later" || reindex.earliest === null) return forecast.at;
  const end = reindex.latest?.getTime() ?? (reindex.on ?? reindex.earliest).getTime() + 7 * DAY_MS;
  return reindex.path.filter(({ at }, i) => i < forecast.at.length || at.getTime() <= end);
};

/**
 * Bloat over time as an SVG: what was seen, the forecast with its interval, what earlier forecasts had said of the days since, the threshold, and where on it
 * the forecast crosses.
 * @param id distinguishes it from others of the page
 */
export const bloatPlot = (one: IndexHealth, name: string, threshold: number, now: Date, id: string): Markup => {
  const { history, reindex, earlierForecasts } = one;
  const ahead = pathOf(one);
  const day = (at: Date): number => (at.getTime() - now.getTime()) / DAY_MS;
  const first = Math.min(0, ...history.map(({ at }) => day(at)));
  const last = Math.max(1, ...ahead.map(({ at }) => day(at)));
  const highest = Math.max(
    threshold,
    ...history.map(({ share }) => share),
    ...ahead.map(({ high }) => high),
    ...earlierForecasts.map(({ high }) => high),
  );
  const shares = sharesUpTo(Math.min(1, highest * 1.08));
  const top = shares.at(-1) ?? 1;
  const x: Scale = (value) =>
    (size.left + ((value - first) / (last - first)) * (size.width - size.left - size.right)).toFixed(1);
  const y: Scale = (share) =>
    (size.height - size.bottom - (share / top) * (size.height - size.top - size.bottom)).toFixed(1);
  const [left, right, base] = [x(first), x(last), y(0)];

  const seen = history.map(({ at, share }) => [x(day(at)), y(share)] as const);
  const present = seen.at(-1);
  const middle = [
    ...(present === undefined ? [] : [present]),
    ...ahead.map(({ at, value }) => [x(day(at)), y(value)] as const),
  ];
  const band = [
    ...(present === undefined ? [] : [present]),
    ...ahead.map(({ at, high }) => [x(day(at)), y(high)] as const),
    ...ahead.toReversed().map(({ at, low }) => [x(day(at)), y(low)] as const),
  ];
  const within = (at: Date | null): string => x(Math.min(last, at === null ? last : day(at)));
  const crossing =
    reindex?.kind === "later" && reindex.earliest !== null && day(reindex.earliest) <= last
      ? html`<line
          class="crossing"
          x1="${within(reindex.earliest)}"
          x2="${within(reindex.latest)}"
          y1="${y(threshold)}"
          y2="${y(threshold)}"
        />`
      : null;
  return html`<svg
    class="plot"
    viewBox="0 0 ${size.width} ${size.height}"
    role="img"
    aria-labelledby="${id}-title ${id}-desc"
  >
    <title id="${id}-title">Bloat of ${name} over time</title>
    <desc id="${id}-desc">${described(one, threshold)}</desc>
    ${shares.map((share) => html`<line class="grid" x1="${left}" x2="${right}" y1="${y(share)}" y2="${y(share)}" /><text class="end" x="${size.left - 5}" y="${y(share)}" dy="0.35em">${percent(share)}</text>`)}
    ${daysBetween(first, last).map((at) => html`<line class="tick" x1="${x(at)}" x2="${x(at)}" y1="${base}" y2="${Number(base) + 4}" /><text class="${at === 0 ? "now" : "middle"}" x="${x(at)}" y="${Number(base) + 16}">${at === 0 ? "now" : dayMonth(new Date(now.getTime() + at * DAY_MS))}</text>`)}
    ${ahead.length === 0 ? null : html`<path class="interval" d="${line(band)}Z" />`}
    <line class="present" x1="${x(0)}" x2="${x(0)}" y1="${size.top}" y2="${base}" />
    <line class="threshold" x1="${left}" x2="${right}" y1="${y(threshold)}" y2="${y(threshold)}" />
    ${crossing}
    ${earlierForecasts.map(({ dueAt, value, low, high }) => html`<path class="earlier" d="M${x(day(dueAt))} ${y(low)}V${y(high)}M${Number(x(day(dueAt))) - 2} ${y(value)}h4" />`)}
    <path class="seen" d="${line(seen)}" />
    ${seen.length > MOST_DOTS ? null : seen.map(([cx, cy]) => html`<circle cx="${cx}" cy="${cy}" r="2" />`)}
    ${ahead.length === 0 ? null : html`<path class="forecast" d="${line(middle)}" />`}
  </svg> `;
};
