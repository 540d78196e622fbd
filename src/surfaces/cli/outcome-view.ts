import type { Deployment, Interval, Outcome, Verdict } from "../../domain/index.ts";
import { formatDuration, formatSize } from "../../config/index.ts";
import { ExitCode } from "../../errors.ts";
import type { BuildReport, Pursued, RebuiltIndex } from "../../pilot/index.ts";
import type { DropOutcome } from "../../rollout/index.ts";
import type { CommandContext } from "./context.ts";
import type { Terminal } from "./terminal.ts";

/** `-82 %`, `+3.1 %`; beyond ten times as much the number says nothing more. */
export const showChange = (change: number): string => {
  if (change > 9.99) return "> +999 %";
  const value = change * 100;
  return `${value > 0 ? "+" : ""}${Math.abs(value) >= 10 ? value.toFixed(0) : value.toFixed(1)} %`;
};

export const showInterval = (interval: Interval | null): string =>
  interval === null ? "" : `[${showChange(interval.low)}, ${showChange(interval.high)}]`;

/** `12.3 MB → 5.10 MB (predicted 5.00 MB, -2.0 % off)` */
export const showRebuilt = ({ bytesBefore, bytesPredicted, bytesAfter, predictionError }: RebuiltIndex): string => {
  const foretold =
    bytesPredicted === null || predictionError === null
      ? ""
      : ` (predicted ${formatSize(bytesPredicted)}, ${showChange(predictionError)} off)`;
  return `${formatSize(bytesBefore)} → ${formatSize(bytesAfter)}${foretold}`;
};

export const paintOutcome = (outcome: Outcome, { colors }: Terminal): string => {
  switch (outcome) {
    case "better":
      return colors.green(outcome);
    case "worse":
      return colors.red(outcome);
    case "equivalent":
    case "undecided":
      return colors.yellow(outcome);
  }
};

/** How a build ended, in one line. */
export const describeBuild = ({ deployment, outcome }: BuildReport): string => {
  switch (outcome.kind) {
    case "built":
      return `${deployment.indexName}: built in ${formatDuration(deployment.buildMs ?? 0)}, ${formatSize(deployment.sizeBytes ?? 0)}`;
    case "refused":
      return `${deployment.indexName}: refused (${outcome.code}): ${outcome.reason}${outcome.retryAt === null ? "" : `; ask again after ${outcome.retryAt.toISOString()}`}`;
    case "deferred":
      return `${deployment.indexName}: gave way: ${outcome.reason}${outcome.retryAt === null ? "" : `; try again after ${outcome.retryAt.toISOString()}`}${outcome.leftover ? "; its invalid leftover is removed at the next start" : ""}`;
    case "interrupted":
      return `${deployment.indexName}: interrupted${outcome.leftover ? "; its invalid leftover is removed at the next start" : "; nothing is left of it"}`;
    case "failed":
      return `${deployment.indexName}: failed: ${outcome.reason}${outcome.leftover ? "; its invalid leftover is removed at the next start" : ""}`;
  }
};

export const buildDocument = ({ deployment, outcome }: BuildReport) => ({
  name: deployment.indexName,
  definition: deployment.definition,
  table: `${deployment.table.schema}.${deployment.table.name}`,
  deployment: deployment.id,
  outcome: outcome.kind,
  reason: "reason" in outcome ? outcome.reason : null,
  code: outcome.kind === "refused" ? outcome.code : null,
  retryAt: "retryAt" in outcome ? (outcome.retryAt?.toISOString() ?? null) : null,
  sizeBytes: deployment.sizeBytes,
  predictedBytes: deployment.predictedBytes,
  buildMs: deployment.buildMs,
});

export const verdictDocument = (pursued: Pursued) => ({
  name: pursued.deployment.indexName,
  deployment: pursued.deployment.id,
  result: pursued.result,
  outcome: pursued.verdict?.outcome ?? "undecided",
  change: pursued.verdict?.change ?? null,
  interval: pursued.verdict?.interval ?? null,
  reason: pursued.reason,
  statements: pursued.verdict?.statements ?? [],
  writes: pursued.verdict?.writes ?? null,
});

/** One verdict in a line, the reason below it. */
export const showVerdict = (pursued: Pursued, terminal: Terminal): void => {
  const outcome = pursued.verdict?.outcome ?? "undecided";
  const change = pursued.verdict?.change ?? null;
  terminal.out(
    `  ${pursued.deployment.indexName}: ${paintOutcome(outcome, terminal)}${change === null ? "" : ` ${showChange(change)} ${showInterval(pursued.verdict?.interval ?? null)}`}, ${pursued.result}`,
  );
  terminal.out(`    ${terminal.colors.dim(pursued.reason)}`);
};

/** Says why an index was not dropped. @returns how the command ends */
export const showNotDropped = (
  outcome: Exclude<DropOutcome, { readonly kind: "dropped" }>,
  { json, terminal }: Pick<CommandContext, "json" | "terminal">,
): ExitCode => {
  if (outcome.kind === "interrupted") return ExitCode.interrupted;
  if (!json) {
    const again =
      "retryAt" in outcome && outcome.retryAt !== null ? `; ask again after ${outcome.retryAt.toISOString()}` : "";
    terminal.alarm(
      outcome.kind === "refused"
        ? `refused (${outcome.code}): ${outcome.reason}${again}`
        : `${outcome.kind === "deferred" ? "gave way" : "failed"}: ${outcome.reason}; the next start goes on with it`,
    );
  }
  return outcome.kind === "failed" ? ExitCode.failed : ExitCode.refused;
};

export const shortVerdict = (verdict: Verdict | null): string =>
  verdict === null
    ? ""
    : verdict.change === null
      ? verdict.outcome
      : `${verdict.outcome} ${showChange(verdict.change)}`;

export const tableOf = ({ table }: Pick<Deployment, "table">): string =>
  table.schema === "public" ? table.name : `${table.schema}.${table.name}`;
