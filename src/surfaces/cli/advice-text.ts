import { formatDuration, formatSize } from "../../config/index.ts";
import { type Advice, adviceDocument, buildStatementsOf, reportOf } from "../../pilot/index.ts";
import { isNothingCosted, notCosted, objectsLeftOut, statementsLeftOut } from "./left-out.ts";
import { amount, shareText } from "./index-view.ts";

const writesText = (writes: ReturnType<typeof reportOf>["writes"]): string => {
  if (writes === null) return "not known";
  if (writes.entries === 0) return "no write seen";
  return writes.msPerDay === null ? formatDuration(writes.ms) : `${formatDuration(writes.msPerDay)} a day`;
};

const cell = (text: string): string => text.replaceAll("|", "\\|").replaceAll("\n", " ");

/** The advice as Markdown, for a pull request. */
export const adviceMarkdown = (advice: Advice): string => {
  const { create, drop, declined, totals, unit, whatIf, workload } = adviceDocument(advice);
  const saved = totals.costBefore === 0 ? 0 : (1 - totals.costAfter / totals.costBefore) * 100;
  const lines = [
    "## Index advice",
    "",
    `${String(workload.statements)} statements; ${unit === "milliseconds" ? "time of the observed period" : "planner cost"} ${amount(advice, totals.costBefore)} → ${amount(advice, totals.costAfter)} (−${saved.toFixed(1)} %), ` +
      `${formatSize(totals.sizeBytes)}. Planner: ${whatIf.planner}, its plans are the target's own for ${String(whatIf.trusted)} of ${String(whatIf.trusted + whatIf.low)} statements compared.`,
    "",
  ];
  if (create.length === 0) {
    lines.push(isNothingCosted(advice) ? "No statement could be costed: nothing is known." : "No index would pay.");
  } else {
    lines.push(
      "| create | for (share of its gain) | cost before → after | size | writes pay | confidence | almost won |",
      "|---|---|---|---|---|---|---|",
    );
    for (const [at, one] of create.entries()) {
      const chosen = advice.configuration.create[at];
      const queries = one.gains.map(({ query, share }) => `${query} (${shareText(share)})`).join(", ");
      const writes = chosen === undefined ? null : reportOf(advice, chosen).writes;
      const { alternative } = one;
      const almost =
        alternative === null
          ? "nothing"
          : `\`${cell(alternative.definition)}\`, ${amount(advice, alternative.worseBy)} more`;
      lines.push(
        `| \`${cell(one.definition)}\` | ${cell(queries)} | ${amount(advice, one.costBefore)} → ${amount(advice, one.costAfter)} | ${formatSize(one.sizeBytes)}, built in about ${formatDuration(one.buildMs)} | ${writesText(writes)} | ${one.confidence}${one.confidenceReason === null ? "" : `: ${cell(one.confidenceReason)}`} | ${almost} |`,
      );
    }
  }
  if (drop.length > 0) {
    lines.push("", "| drop (IndexPilot does not) | size | why | how |", "|---|---|---|---|");
    for (const one of drop) {
      const how = one.sql === null ? cell(one.remark) : `\`${cell(one.sql)}\`; ${cell(one.remark)}`;
      lines.push(`| \`${cell(one.definition)}\` | ${formatSize(one.sizeBytes)} | ${cell(one.reason)} | ${how} |`);
    }
  }
  const leftOut = [
    ...[...statementsLeftOut(advice), ...objectsLeftOut(advice)].map(({ named, reason }) => [named, reason] as const),
    ...notCosted(advice).map(({ named, reason }) => [named, `not costed: ${reason}`] as const),
  ];
  if (leftOut.length > 0) {
    lines.push("", "| left out | why |", "|---|---|");
    for (const [named, reason] of leftOut) lines.push(`| ${cell(named)} | ${cell(reason)} |`);
  }
  if (declined.length > 0) {
    lines.push("", "<details><summary>Declined candidates</summary>", "", "| candidate | why |", "|---|---|");
    for (const one of declined) lines.push(`| \`${cell(one.definition)}\` | ${cell(one.reason)} |`);
    lines.push("", "</details>");
  }
  return lines.join("\n");
};

/** The advice as a migration: none of its statements may run in a transaction. Drops are left for a person to uncomment. */
export const adviceSql = (advice: Advice): string => {
  const { create, drop } = adviceDocument(advice);
  const statements = advice.configuration.create.map((chosen, at) => {
    const about = create[at];
    const why =
      about === undefined
        ? ""
        : `-- about ${formatSize(about.sizeBytes)}, for ${about.queries.join(", ").replaceAll("\n", " ")}\n`;
    return `${why}${buildStatementsOf(advice, chosen.index.definition)
      .map((statement) => `${statement};`)
      .join("\n")}`;
  });
  return [
    "-- Run outside a transaction block. A build that fails leaves an invalid index behind: drop it before you try again.",
    ...statements,
    ...drop.map(
      ({ reason, remark, sql }) =>
        `-- could go: ${reason.replaceAll("\n", " ")}; ${remark}${sql === null ? "" : `\n-- ${sql.replaceAll("\n", " ")};`}`,
    ),
  ].join("\n\n");
};
