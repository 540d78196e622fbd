import { formatSize } from "../../config/index.ts";
import { quoteName } from "../../postgres/index.ts";
import type { HealthReport } from "../../pilot/index.ts";
import { reindexText, standingText } from "../report/index.ts";
import { sparkline } from "./bloat-chart.ts";
import { showRebuilt } from "./outcome-view.ts";

const cell = (text: string): string => text.replaceAll("|", String.raw`\|`).replaceAll("\n", " ");
const row = (cells: readonly string[]): string => `| ${cells.map(cell).join(" | ")} |`;
const tableOf = (titles: readonly string[], rows: readonly (readonly string[])[]): readonly string[] => [
  row(titles),
  row(titles.map(() => "---")),
  ...rows.map(row),
];

/** The same as Markdown, for an issue or a wiki. */
export const healthMarkdown = (report: HealthReport): string => {
  const { server, indexes } = report;
  const lines = [
    `# Indexes of ${server.database}`,
    "",
    `${report.at.toISOString()}; rebuilds are due above ${(100 * report.threshold).toFixed(0)} % of bloat.`,
    "",
    ...tableOf(
      [
        "index",
        "table",
        "size",
        "bloat",
        "by",
        `until now │ next ${String(report.aheadDays)} days`,
        "rebuild",
        "standing",
      ],
      indexes.map((one) => [
        `\`${quoteName(one.judgement)}\``,
        `\`${quoteName(one.judgement.table)}\``,
        formatSize(one.judgement.sizeBytes),
        one.bloat.kind === "shown" ? `${(100 * one.bloat.share).toFixed(0)} %` : "–",
        one.bloat.kind === "shown" ? one.bloat.method : one.bloat.code,
        sparkline(one),
        reindexText(one),
        `${one.judgement.standing.replaceAll("_", " ")}: ${one.judgement.reason}`,
      ]),
    ),
  ];
  if (report.rebuilt.length > 0) {
    lines.push("", "## Rebuilt", "");
    for (const one of report.rebuilt) {
      const name = quoteName({ schema: one.table.schema, name: one.index });
      lines.push(`- ${one.at.toISOString().slice(0, 10)} \`${name}\`: ${showRebuilt(one)}`);
    }
  }
  const remedies = indexes.filter(
    ({ judgement }) =>
      judgement.remedy !== null && standingText.some(({ standing }) => standing === judgement.standing),
  );
  if (remedies.length > 0) {
    lines.push("", "## To be cleaned up", "");
    for (const { judgement } of remedies) lines.push(`- ${judgement.reason}: \`${judgement.remedy ?? ""}\``);
  }
  if (report.missingForeignKeyIndexes.length > 0) {
    lines.push("", "## Foreign keys without an index", "");
    for (const one of report.missingForeignKeyIndexes) lines.push(`- \`${one.constraint}\`: \`${one.remedy}\``);
  }
  if (report.staleStatistics.length > 0) {
    lines.push("", "## Stale statistics", "");
    for (const one of report.staleStatistics) lines.push(`- \`${one.remedy}\``);
  }
  return lines.join("\n");
};
