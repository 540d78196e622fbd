import { formatSize } from "../../config/index.ts";
import { type Advice, adviceDocument } from "../../pilot/index.ts";
import { renderCreateIndex } from "../../postgres/index.ts";

const cell = (text: string): string => text.replaceAll("|", "\\|").replaceAll("\n", " ");

/** The advice as Markdown, for a pull request. */
export const adviceMarkdown = (advice: Advice): string => {
  const { create, drop, declined, totals, whatIf, workload } = adviceDocument(advice);
  const saved = totals.costBefore === 0 ? 0 : (1 - totals.costAfter / totals.costBefore) * 100;
  const lines = [
    "## Index advice",
    "",
    `${String(workload.statements)} statements; planner cost ${totals.costBefore.toFixed(0)} → ${totals.costAfter.toFixed(0)} (−${saved.toFixed(1)} %), ` +
      `${formatSize(totals.sizeBytes)}. Planner: ${whatIf.planner}, its plans are the target's own for ${String(whatIf.trusted)} of ${String(whatIf.trusted + whatIf.low)} statements compared.`,
    "",
  ];
  if (create.length === 0) lines.push("No index would pay.");
  else {
    lines.push("| create | for | cost before → after | size | confidence |", "|---|---|---|---|---|");
    for (const one of create) {
      lines.push(
        `| \`${cell(one.definition)}\` | ${cell(one.queries.join(", "))} | ${one.costBefore.toFixed(0)} → ${one.costAfter.toFixed(0)} | ${formatSize(one.sizeBytes)} | ${one.confidence}${one.confidenceReason === null ? "" : `: ${cell(one.confidenceReason)}`} |`,
      );
    }
  }
  if (drop.length > 0) {
    lines.push("", "| redundant | why |", "|---|---|");
    for (const one of drop) lines.push(`| \`${cell(one.definition)}\` | ${cell(one.reason)} |`);
  }
  if (declined.length > 0) {
    lines.push("", "<details><summary>Declined candidates</summary>", "", "| candidate | why |", "|---|---|");
    for (const one of declined) lines.push(`| \`${cell(one.definition)}\` | ${cell(one.reason)} |`);
    lines.push("", "</details>");
  }
  return lines.join("\n");
};

/** The advice as a migration: one statement per index, none of which may run in a transaction. */
export const adviceSql = (advice: Advice): string => {
  const { create } = adviceDocument(advice);
  const statements = advice.configuration.create.map((chosen, at) => {
    const about = create[at];
    const why =
      about === undefined
        ? ""
        : `-- about ${formatSize(about.sizeBytes)}, for ${about.queries.join(", ").replaceAll("\n", " ")}\n`;
    return `${why}${renderCreateIndex(chosen.index.definition, null, { concurrently: true })};`;
  });
  return [
    "-- Run outside a transaction block. A build that fails leaves an invalid index behind: drop it before you try again.",
    ...statements,
  ].join("\n\n");
};
