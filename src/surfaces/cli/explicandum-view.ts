import { type DeclinedCandidate, describeIndex } from "../../domain/index.ts";
import { type Advice, type Explicandum, planPairsOf, queryName } from "../../pilot/index.ts";
import { stepText } from "../../plan/index.ts";
import { percent, shareText, showIndex } from "./index-view.ts";
import { hanging, type Terminal } from "./terminal.ts";

/** One thing of the advice in depth. */
export const showExplicandum = (advice: Advice, one: Explicandum, terminal: Terminal): void => {
  const { colors } = terminal;
  switch (one.kind) {
    case "index": {
      const { chosen, others, number } = one;
      showIndex(advice, chosen, colors.green(`${String(number)}.`), terminal, true);
      for (const { statementId } of chosen.gains ?? []) showPlans(advice, statementId, terminal);
      showDeclined(`Considered on ${chosen.index.definition.table.name}, and not chosen`, others, terminal);
      return;
    }
    case "declined":
      showDeclined("Not chosen", [one.declined], terminal);
      for (const id of one.declined.statementIds) showPlans(advice, id, terminal);
      return;
    case "query": {
      const { statement, chosen, others } = one;
      if (advice.workload.source !== "files")
        terminal.out(hanging("", statement.text.replaceAll(/\s+/g, " "), terminal));
      showPlans(advice, statement.id, terminal);
      terminal.out(`\n${colors.bold(chosen.length === 0 ? "No index of the advice serves it" : "Served by")}`);
      for (const index of chosen) {
        const at = advice.configuration.create.indexOf(index) + 1;
        showIndex(advice, index, colors.green(`${String(at).padStart(2)}.`), terminal);
      }
      showDeclined("Considered for it, and not chosen", others, terminal);
    }
  }
};

const showPlans = (advice: Advice, statementId: string, terminal: Terminal): void => {
  const { colors } = terminal;
  const cost = advice.configuration.statements.find((one) => one.statementId === statementId);
  const calibration = advice.calibrations.get(statementId);
  const confidence = calibration?.confidence ?? "unknown";
  terminal.out(
    `\n${colors.bold(queryName(advice, statementId))}` +
      (cost === undefined
        ? ""
        : `  cost per call ${number(cost.costBefore)} → ${number(cost.costAfter)} (${percent(cost.costBefore, cost.costAfter)})`),
  );
  const reason = advice.failed.get(statementId) ?? calibration?.reason ?? null;
  terminal.out(hanging("  planner ", `${confidence}${reason === null ? "" : `: ${reason}`}`, terminal));
  for (const risk of advice.plans.risks.filter((other) => other.statementId === statementId)) {
    terminal.out(hanging(`  ${colors.yellow(risk.code)} `, risk.reason, terminal));
  }
  const pairs = planPairsOf(advice, statementId);
  if (pairs.length === 0) terminal.out("  its plans stay as they are; `indexpilot explain` shows them");
  for (const [at, { share, before, after }] of pairs.entries()) {
    if (pairs.length > 1) {
      terminal.out(
        colors.dim(`  values ${String(at + 1)} of ${String(pairs.length)} (${shareText(share)} of the calls)`),
      );
    }
    terminal.out("  before");
    for (const step of before) terminal.out(`    ${stepText(step)}`);
    terminal.out("  after");
    for (const step of after) terminal.out(`    ${stepText(step)}`);
  }
};

const number = (value: number): string => value.toLocaleString("en", { maximumFractionDigits: value < 1000 ? 2 : 0 });

const showDeclined = (title: string, declined: readonly DeclinedCandidate[], terminal: Terminal): void => {
  if (declined.length === 0) return;
  terminal.out(`\n${terminal.colors.bold(title)}`);
  for (const { definition, code, reason } of declined) {
    terminal.out(hanging("  ", `${describeIndex(definition)}  ${terminal.colors.yellow(code)}`, terminal));
    terminal.out(hanging("    ", terminal.colors.dim(reason), terminal));
  }
};
