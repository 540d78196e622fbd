import { formatDuration, formatSize } from "../../config/index.ts";
import { describeIndex, type DeclinedCandidate } from "../../domain/index.ts";
import { type Advice, dropReportOf, minorPartOf, queryName } from "../../pilot/index.ts";
import { amount, percent, shareText, showIndex } from "./index-view.ts";
import { isNothingCosted, notCosted, objectsLeftOut, statementsLeftOut } from "./left-out.ts";
import { hanging, type Terminal } from "./terminal.ts";

const shown = 6;

/** The advice for a person: what to create and why, what to drop, what was declined. */
export const showAdvice = (advice: Advice, terminal: Terminal): void => {
  const { workload } = advice;
  const { colors } = terminal;
  const period =
    workload.observedFrom !== null && workload.observedTo !== null
      ? ` over ${formatDuration(workload.observedTo.getTime() - workload.observedFrom.getTime())}`
      : "";
  const leftOut = workload.declined.reduce((sum, { statements = 1 }) => sum + statements, 0);
  terminal.out(
    `${colors.bold("Workload")}: ${String(workload.statements.length + (workload.minor?.length ?? 0))} statements from ${workload.source === "files" ? "files" : "pg_stat_statements"}${period}` +
      (leftOut > 0 ? `, ${String(leftOut)} left out` : ""),
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
  showDrops(advice, terminal);
  showDeclined(advice, terminal);
  showTotals(advice, terminal);
};

const showDrops = (advice: Advice, terminal: Terminal): void => {
  const { drop } = advice.configuration;
  if (drop.length === 0) return;
  const { colors } = terminal;
  terminal.out(`\n${colors.bold("Drop")} (advice only)`);
  for (const one of drop) {
    const { name, sql, remark } = dropReportOf(advice, one);
    terminal.out(
      hanging("  ", `${name}, ${formatSize(one.index.sizeBytes)}, ${colors.yellow(one.code)}: ${one.reason}`, terminal),
    );
    if (sql !== null) terminal.out(`    ${sql};`);
    terminal.out(hanging("    ", colors.dim(remark), terminal));
  }
};

const showTotals = (advice: Advice, terminal: Terminal): void => {
  const { create, drop, totals, complete } = advice.configuration;
  const created = create.reduce((sum, { index }) => sum + index.estimatedBytes, 0);
  const dropped = drop.reduce((sum, { index }) => sum + index.sizeBytes, 0);
  const [before, after] = [totals.costBefore, totals.costAfter];
  const parts = [
    `${advice.configuration.unit === "milliseconds" ? "time of the observed period" : "planner cost"} ${amount(advice, before)} → ${amount(advice, after)} (${percent(before, after)})`,
    `${formatSize(created)} to create${dropped > 0 ? `, ${formatSize(dropped)} to drop` : ""}, within the budget of ${formatSize(advice.budgetBytes)}`,
    ...(totals.gap === undefined
      ? []
      : [`at most ${shareText(totals.gap)} above the least that any set of these candidates can cost`]),
    `${String(totals.whatIfCalls)} what-if calls to the ${advice.planner === "shadow" ? "shadow" : "target's HypoPG"}` +
      (totals.skippedCalls === undefined ? "" : `, ${String(totals.skippedCalls)} questions answered without one`),
    ...(complete ? [] : ["the search ended at its limit"]),
  ];
  const label = `${terminal.colors.bold("In all")}  `;
  terminal.out(`\n${hanging(label, parts[0] ?? "", terminal)}`);
  for (const part of parts.slice(1)) terminal.out(hanging("        ", part, terminal));
};

const showTrust = (advice: Advice, terminal: Terminal): void => {
  const { colors } = terminal;
  const low = [...advice.calibrations.values()].filter((calibration) => calibration.confidence === "low");
  const trusted = [...advice.calibrations.values()].filter((calibration) => calibration.confidence === "trusted");
  const compared = low.length + trusted.length;
  const note = (label: string, text: string): void => {
    terminal.out(hanging(`  ${colors.yellow(label)} `, text, terminal));
  };
  terminal.out(
    hanging(
      `${colors.bold("Planner")}: `,
      `${advice.planner}, whose plans and costs without new indexes are the target's own for ${String(trusted.length)} of ${String(compared)} statements that could be compared`,
      terminal,
    ),
  );
  for (const spot of advice.blindSpots) {
    note("hidden", spot.problem);
    terminal.out(`    ${colors.dim("remedy:")} ${spot.remedy}`);
  }
  for (const calibration of low.slice(0, shown)) {
    note("low confidence", `${queryName(advice, calibration.statementId)}: ${calibration.reason ?? ""}`);
  }
  for (const { named, reason } of [...statementsLeftOut(advice), ...objectsLeftOut(advice)]) {
    note("left out", `${named}: ${reason}`);
  }
  for (const { named, reason } of notCosted(advice)) note("not costed", `${named}: ${reason}`);
  const { upkeep } = advice;
  if (upkeep.kind === "free") note("writes not charged", upkeep.reason);
  else if (upkeep.missing !== null) note("not charged", upkeep.missing);
};

const showCreate = (advice: Advice, terminal: Terminal): void => {
  const { create } = advice.configuration;
  const nothing = isNothingCosted(advice)
    ? "Create: nothing, for no statement could be costed"
    : "Create: nothing pays";
  terminal.out(`\n${terminal.colors.bold(create.length === 0 ? nothing : "Create")}`);
  for (const [at, chosen] of create.entries()) {
    showIndex(advice, chosen, terminal.colors.green(`${String(at + 1).padStart(2)}.`), terminal);
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
    terminal.out(hanging("    ", terminal.colors.dim(example.reason), terminal));
  }
};
