import { formatDuration, formatSize } from "../../config/index.ts";
import { describeIndex, type DeclinedCandidate } from "../../domain/index.ts";
import { type Advice, confidenceOf, minorPartOf, queryName, sizeRangeOf } from "../../pilot/index.ts";
import { renderCreateIndex } from "../../postgres/index.ts";
import type { Terminal } from "./terminal.ts";

const percent = (before: number, after: number): string =>
  before === 0 ? "0 %" : `${(((after - before) / before) * 100).toFixed(1)} %`;

const cost = (value: number): string => value.toLocaleString("en", { maximumFractionDigits: value < 100 ? 1 : 0 });

const shown = 6;

/** The advice for a person: what to create and why, what to drop, what was declined. */
export const showAdvice = (advice: Advice, terminal: Terminal): void => {
  const { configuration, workload } = advice;
  const { colors } = terminal;
  const period =
    workload.observedFrom !== null && workload.observedTo !== null
      ? ` over ${formatDuration(workload.observedTo.getTime() - workload.observedFrom.getTime())}`
      : "";
  terminal.out(
    `${colors.bold("Workload")}: ${String(workload.statements.length + (workload.minor?.length ?? 0))} statements from ${workload.source === "files" ? "files" : "pg_stat_statements"}${period}` +
      (workload.declined.length > 0 ? `, ${String(workload.declined.length)} left out` : ""),
  );
  const minor = minorPartOf(advice);
  if (minor !== null) {
    const own = minor.tables.slice(0, shown).join(", ") + (minor.tables.length > shown ? ", …" : "");
    terminal.out(
      `  ${String(minor.statements)} of them, with ${(minor.share * 100).toFixed(1)} % of the time, were not planned` +
        (own === "" ? "" : `, nor ${String(minor.tables.length)} tables that only they use (${own})`),
    );
  }
  showTrust(advice, terminal);
  showCreate(advice, terminal);
  if (configuration.drop.length > 0) {
    terminal.out(`\n${colors.bold("Drop")} (advice only: IndexPilot drops nothing that it did not build)`);
    for (const drop of configuration.drop) {
      terminal.out(`  ${drop.index.schema}.${drop.index.name}  ${formatSize(drop.index.sizeBytes)}: ${drop.reason}`);
    }
  }
  showDeclined(advice, terminal);
  const { totals } = configuration;
  terminal.out(
    `\n${colors.bold("In all")}: planner cost ${cost(totals.costBefore)} → ${cost(totals.costAfter)} (${percent(totals.costBefore, totals.costAfter)}), ` +
      `${formatSize(totals.sizeBytes)} of ${formatSize(advice.budgetBytes)}, ${String(totals.whatIfCalls)} what-if calls to the ${advice.planner === "shadow" ? "shadow" : "target's HypoPG"}` +
      (totals.gap === undefined
        ? ""
        : `; within ${(totals.gap * 100).toFixed(1)} % of the best these candidates allow`),
  );
};

const showTrust = (advice: Advice, terminal: Terminal): void => {
  const low = [...advice.calibrations.values()].filter((calibration) => calibration.confidence === "low");
  const trusted = [...advice.calibrations.values()].filter((calibration) => calibration.confidence === "trusted");
  const compared = low.length + trusted.length;
  terminal.out(
    `${terminal.colors.bold("Planner")}: ${advice.planner}, whose plans and costs without new indexes are the target's own for ${String(trusted.length)} of ${String(compared)} statements that could be compared`,
  );
  for (const spot of advice.blindSpots) {
    terminal.out(
      `  ${terminal.colors.yellow("hidden")} ${spot.problem}\n    ${terminal.colors.dim("remedy:")} ${spot.remedy}`,
    );
  }
  for (const calibration of low.slice(0, shown)) {
    terminal.out(
      `  ${terminal.colors.yellow("low confidence")} ${queryName(advice, calibration.statementId)}: ${calibration.reason ?? ""}`,
    );
  }
  for (const one of advice.leftOut.slice(0, shown)) {
    terminal.out(`  ${terminal.colors.yellow("left out")} ${one.object}: ${one.reason}`);
  }
  for (const [id, reason] of [...advice.failed].slice(0, shown)) {
    terminal.out(`  ${terminal.colors.yellow("not costed")} ${queryName(advice, id)}: ${reason}`);
  }
};

const showCreate = (advice: Advice, terminal: Terminal): void => {
  const { create } = advice.configuration;
  terminal.out(`\n${terminal.colors.bold(create.length === 0 ? "Create: nothing pays" : "Create")}`);
  for (const [at, chosen] of create.entries()) {
    const confidence = confidenceOf(advice, chosen);
    terminal.out(
      `${terminal.colors.green(`${String(at + 1).padStart(2)}.`)} ${renderCreateIndex(chosen.index.definition, null, { concurrently: true })}`,
    );
    const size = sizeRangeOf(chosen.index);
    terminal.out(
      `    about ${formatSize(chosen.index.estimatedBytes)} (${formatSize(size.low)} to ${formatSize(size.high)}); cost of its queries ${cost(chosen.costBefore)} → ${cost(chosen.costAfter)} (${percent(chosen.costBefore, chosen.costAfter)}); confidence ${confidence.level}` +
        (confidence.reason === null ? "" : ` (${confidence.reason})`),
    );
    const labels = chosen.statementIds.map((id) => queryName(advice, id));
    const more = labels.length > shown ? ` and ${String(labels.length - shown)} more` : "";
    terminal.out(`    ${terminal.colors.dim(`for ${labels.slice(0, shown).join(", ")}${more}`)}`);
    const upkeep = advice.upkeep.kind === "free" ? null : advice.upkeep.of(chosen.index);
    if (upkeep !== null && upkeep.msPerDay !== null) {
      terminal.out(
        `    ${terminal.colors.dim(`writes pay about ${formatDuration(upkeep.msPerDay)} a day for it; building it takes about ${formatDuration(advice.upkeep.buildMs(chosen.index))}`)}`,
      );
    }
    const obstacle = advice.obstacles.get(chosen.index.id);
    if (obstacle !== undefined) terminal.out(`    ${terminal.colors.yellow("advice only")}: ${obstacle}`);
  }
};

const showDeclined = (advice: Advice, terminal: Terminal): void => {
  const { declined } = advice.configuration;
  if (declined.length === 0) return;
  terminal.out(
    `\n${terminal.colors.bold("Declined")}: ${String(declined.length)} candidates, one of each kind (all with --json)`,
  );
  showOneOfEach(declined, terminal);
};

/** For each reason code one candidate, with its whole reason, and how many more there are. */
export const showOneOfEach = (declined: readonly DeclinedCandidate[], terminal: Terminal): void => {
  for (const code of new Set(declined.map((one) => one.code))) {
    const [example, ...others] = declined.filter((one) => one.code === code);
    if (example === undefined) continue;
    const more = others.length === 0 ? "" : ` and ${String(others.length)} more`;
    terminal.out(`  ${terminal.colors.yellow(code)}${terminal.colors.dim(more)}: ${describeIndex(example.definition)}`);
    terminal.out(`    ${terminal.colors.dim(example.reason)}`);
  }
};
