import { resolve } from "node:path";
import { formatSize } from "../../config/index.ts";
import { quoteName } from "../../postgres/index.ts";
import { ExitCode, failure } from "../../errors.ts";
import { isSpare } from "../../maintenance/index.ts";
import { checkHealth, type HealthReport, type IndexHealth } from "../../pilot/index.ts";
import { requireNewFile } from "../../snapshot/index.ts";
import { bloatChart, sparkline } from "./bloat-chart.ts";
import { type CommandContext, type ConnectionFlags, pilotContext } from "./context.ts";
import { healthMarkdown } from "./health-markdown.ts";
import { writeOutputFile } from "./output-file.ts";
import { healthPage, reindexText, standingText } from "../report/index.ts";
import { showRebuilt } from "./outcome-view.ts";
import { hanging, table, type Terminal } from "./terminal.ts";

export interface HealthFlags extends ConnectionFlags {
  readonly record?: boolean;
  readonly markdown?: boolean;
  readonly html?: string;
  readonly force?: boolean;
  readonly all?: boolean;
}

/** Without `--all` so many of the largest indexes are listed. */
const shown = 20;

const bloatText = ({ bloat }: IndexHealth): string =>
  bloat.kind === "shown"
    ? `${(100 * bloat.share).toFixed(0)} % ${bloat.method === "statistics" ? "" : `(${bloat.method})`}`.trim()
    : `– ${bloat.code}`;

const showIndexes = (report: HealthReport, indexes: readonly IndexHealth[], terminal: Terminal): void => {
  terminal.out(
    table(
      [
        { title: "index" },
        { title: "table" },
        { title: "size", align: "right" },
        { title: "bloat" },
        { title: "would give back", align: "right" },
        { title: `until now │ next ${String(report.aheadDays)} days` },
        { title: "rebuild", flexible: true },
      ],
      indexes.map((one) => [
        quoteName(one.judgement),
        quoteName(one.judgement.table),
        formatSize(one.judgement.sizeBytes),
        bloatText(one),
        one.wastedBytes === null ? "" : formatSize(one.wastedBytes),
        sparkline(one),
        reindexText(one),
      ]),
      terminal,
    ),
  );
};

/** What was rebuilt of late, against what was foretold. */
const showRebuiltIndexes = ({ rebuilt }: HealthReport, terminal: Terminal): void => {
  if (rebuilt.length === 0) return;
  terminal.out("");
  terminal.out(terminal.colors.bold(`Rebuilt (${String(rebuilt.length)})`));
  for (const one of rebuilt) {
    const name = quoteName({ schema: one.table.schema, name: one.index });
    terminal.out(hanging("  ", `${one.at.toISOString().slice(0, 10)} ${name}: ${showRebuilt(one)}`, terminal));
  }
};

const showFindings = (report: HealthReport, terminal: Terminal): void => {
  const line = (text: string, remedy: string | null): void => {
    terminal.out(hanging("  ", text, terminal));
    if (remedy !== null) terminal.out(`      ${terminal.colors.dim(`${remedy};`.replace(/^(indexpilot .*);$/, "$1"))}`);
  };
  const title = (text: string): void => {
    terminal.out("");
    terminal.out(terminal.colors.bold(text));
  };
  for (const { standing, heading } of standingText) {
    const found = report.indexes.filter(({ judgement }) => judgement.standing === standing);
    if (found.length === 0) continue;
    const bytes = found.reduce((sum, { judgement }) => sum + judgement.sizeBytes, 0);
    title(`${heading} (${String(found.length)}, ${formatSize(bytes)})`);
    for (const { judgement } of found) line(`${quoteName(judgement)}: ${judgement.reason}`, judgement.remedy);
  }
  if (report.missingForeignKeyIndexes.length > 0) {
    title(`Foreign keys without an index (${String(report.missingForeignKeyIndexes.length)})`);
    for (const one of report.missingForeignKeyIndexes) {
      line(
        `${quoteName(one.table)} (${one.columns.join(", ")}) → ${quoteName(one.parent)}: ${String(one.parentDeletes)} rows deleted there, ${formatSize(one.tableBytes)} to read for each`,
        one.remedy,
      );
    }
  }
  if (report.staleStatistics.length > 0) {
    title(`Stale statistics (${String(report.staleStatistics.length)})`);
    for (const one of report.staleStatistics) {
      const what =
        one.changedShare === null
          ? "no ANALYZE is known"
          : `${(100 * one.changedShare).toFixed(0)} % of the rows changed since`;
      line(`${quoteName(one.table)}: ${what}`, one.remedy);
    }
  }
};

const showOne = (report: HealthReport, one: IndexHealth, terminal: Terminal): void => {
  const { judgement, bloat, forecast } = one;
  terminal.out(
    terminal.colors.bold(
      `${quoteName(judgement)} on ${quoteName(judgement.table)}, ${formatSize(judgement.sizeBytes)}`,
    ),
  );
  terminal.out(`  ${judgement.standing.replaceAll("_", " ")}: ${judgement.reason}`);
  terminal.out(
    bloat.kind === "shown"
      ? `  bloat ${(100 * bloat.share).toFixed(1)} % by ${bloat.method} (${(100 * bloat.low).toFixed(0)} to ${(100 * bloat.high).toFixed(0)} %); a rebuild would leave ${formatSize(bloat.neededBytes)}`
      : `  bloat is not shown, ${bloat.code}: ${bloat.reason}; ${bloat.remedy}`,
  );
  if (forecast?.kind === "insufficient") terminal.out(`  ${reindexText(one)}`);
  for (const line of bloatChart(one, report.threshold, terminal)) terminal.out(`  ${line}`);
  if (forecast?.kind === "forecast") {
    terminal.out(
      `  ${terminal.colors.dim(`● seen, ○ forecast (${forecast.model}), ░ its 95 % interval, ┄ threshold`)}`,
    );
    terminal.out(`  rebuild: ${reindexText(one)}`);
  }
};

export const health = async (
  name: string | undefined,
  flags: HealthFlags,
  context: CommandContext,
): Promise<ExitCode> => {
  const { terminal } = context;
  const { settings } = context.config;
  if (flags.html !== undefined) requireNewFile(flags.html, flags.force === true);
  const report = await checkHealth(pilotContext(flags, context), {
    record: flags.record === true,
    readBytes: settings.healthReadBytes,
  });
  const chosen =
    name === undefined
      ? report.indexes
      : report.indexes.filter(({ judgement }) => [judgement.name, quoteName(judgement)].includes(name));
  if (name !== undefined && chosen.length === 0) {
    throw failure("usage", { problem: `there is no index ${name}`, hint: "`indexpilot health --all` lists all" });
  }
  if (flags.html !== undefined) {
    const page = healthPage({ ...report, indexes: chosen }, flags.all === true);
    await writeOutputFile(flags.html, page, { replace: flags.force === true });
    terminal.out(`The report is in ${resolve(flags.html)}: open it in a browser.`);
  } else if (context.json) terminal.out(JSON.stringify({ ...report, indexes: chosen }, null, 2));
  else if (flags.markdown === true) terminal.out(healthMarkdown({ ...report, indexes: chosen }));
  else if (name !== undefined) for (const one of chosen) showOne(report, one, terminal);
  else {
    const worst = chosen.toSorted((a, b) => (b.wastedBytes ?? -1) - (a.wastedBytes ?? -1));
    const listed = flags.all === true ? worst : worst.slice(0, shown);
    if (listed.length === 0) terminal.out("There is no index here.");
    else showIndexes(report, listed, terminal);
    if (worst.length > listed.length) {
      terminal.out(
        terminal.colors.dim(`  and ${String(worst.length - listed.length)} more with less to give back: --all`),
      );
    }
    if (report.accuracy !== null) {
      const { due, within, meanError } = report.accuracy;
      terminal.out(
        terminal.colors.dim(
          `  ${String(due)} earlier forecasts were due: ${String(within)} within their interval, ${(100 * meanError).toFixed(1)} points off in the mean`,
        ),
      );
    }
    showRebuiltIndexes(report, terminal);
    showFindings(report, terminal);
  }
  if (!report.recorded && !context.json && flags.markdown !== true && name === undefined) {
    terminal.err("nothing was remembered: with --record, a look a day lets bloat be forecast and disuse be proved");
  }
  const isFound =
    chosen.some(({ judgement, reindex }) => reindex?.kind === "now" || isSpare(judgement.standing)) ||
    (name === undefined && report.missingForeignKeyIndexes.length > 0);
  return isFound ? ExitCode.findings : ExitCode.ok;
};
