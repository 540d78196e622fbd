import { formatDuration, formatSize } from "../../config/index.ts";
import { type ChosenIndex, describeIndex } from "../../domain/index.ts";
import { type Advice, buildStatementsOf, confidenceOf, doubtsOf, reportOf, sizeRangeOf } from "../../pilot/index.ts";
import { hanging, type Terminal } from "./terminal.ts";

/** `-82.1 %`. */
export const percent = (before: number, after: number): string =>
  before === 0 ? "0 %" : `${(((after - before) / before) * 100).toFixed(1)} %`;

export const shareText = (share: number): string =>
  share > 0 && share < 0.001 ? "< 0.1 %" : `${(share * 100).toFixed(share < 0.0995 ? 1 : 0)} %`;

/** A weighted cost for people: time where statements were measured, planner cost otherwise. */
export const amount = ({ configuration: { unit } }: Advice, value: number): string =>
  unit === "milliseconds"
    ? formatDuration(value)
    : value.toLocaleString("en", { maximumFractionDigits: value < 100 ? 1 : 0 });

/** So many queries are named; `--explain` and `--json` name all. */
const shown = 6;

/** One index of the advice: what it is, whom it serves, what it costs, and how sure that is. */
export const showIndex = (
  advice: Advice,
  chosen: ChosenIndex,
  title: string,
  terminal: Terminal,
  all = false,
): void => {
  const { colors } = terminal;
  const { index, alternative } = chosen;
  const { saving, share, gains, buildMs, writes } = reportOf(advice, chosen);
  const line = (label: string, text: string): void => {
    terminal.out(hanging(`    ${colors.dim(label.padEnd(11))} `, text, terminal));
  };
  const statements = buildStatementsOf(advice, index.definition);
  terminal.out(hanging(`${title} `, statements.at(-1) ?? "", terminal));
  if (statements.length > 1) {
    const partitions = String(statements.length - 1);
    line(
      "",
      `on each of its ${partitions} partitions, concurrently; attached to one another when the verdict is better`,
    );
  }
  const [before, after] = [chosen.costBefore, chosen.costAfter];
  line(
    "gain",
    `its queries ${amount(advice, before)} → ${amount(advice, after)} (${percent(before, after)}); beside the other indexes it saves ${amount(advice, saving)}, ${shareText(share)} of the workload`,
  );
  for (const [at, one] of gains.slice(0, all ? gains.length : shown).entries()) {
    line(at === 0 ? "serves" : "", `${shareText(one.share).padStart(7)}  ${one.query}`);
  }
  if (!all && gains.length > shown) line("", `${" ".repeat(9)}and ${String(gains.length - shown)} more`);
  const size = sizeRangeOf(index);
  line(
    "size",
    `about ${formatSize(index.estimatedBytes)} (${formatSize(size.low)} to ${formatSize(size.high)}), built in about ${formatDuration(buildMs)}`,
  );
  if (writes !== null) {
    line(
      "writes pay",
      writes.entries === 0
        ? "nothing: no write of its table was seen"
        : writes.msPerDay === null || writes.walBytesPerDay === null
          ? `${formatDuration(writes.ms)} of the observed period`
          : `about ${formatDuration(writes.msPerDay)} and ${formatSize(writes.walBytesPerDay)} of WAL a day at the observed rate`,
    );
  }
  const doubts = doubtsOf(advice, chosen);
  const { level } = confidenceOf(advice, chosen);
  const painted = level === "high" ? colors.green(level) : colors.yellow(level);
  if (doubts.length === 0) line("confidence", `${painted}: the target's own plans and costs are the same`);
  for (const [at, { code, reason }] of doubts.entries()) {
    line(at === 0 ? "confidence" : "", `${at === 0 ? `${painted}, ` : ""}${code}: ${reason}`);
  }
  line(
    "almost won",
    alternative === undefined || alternative === null
      ? "nothing: no other candidate on its table would help in its place"
      : `${describeIndex(alternative.definition)}, ${formatSize(alternative.estimatedBytes)}: the workload would cost ${amount(advice, alternative.worseBy)} more${relative(advice, alternative.worseBy)}`,
  );
  const obstacle = advice.obstacles.get(index.id);
  if (obstacle !== undefined) line("", `${colors.yellow("advice only")}: ${obstacle}`);
};

const relative = ({ configuration: { totals } }: Advice, worseBy: number): string =>
  totals.costAfter > 0 ? ` (+${shareText(worseBy / totals.costAfter)})` : "";
