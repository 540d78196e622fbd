import { formatDuration } from "../../config/index.ts";
import type { Experiment, ExperimentVerdict } from "../../domain/index.ts";
import { ExitCode, failure } from "../../errors.ts";
import { type AbResults, endAbExperiment, getAbResults, listAbExperiments } from "../../pilot/index.ts";
import { actorOf, type CommandContext, type ConnectionFlags, pilotContext } from "./context.ts";
import { paintOutcome, showChange, showInterval, tableOf } from "./outcome-view.ts";
import { table } from "./terminal.ts";

const definitionOf = ({ definition }: Experiment["control"]): string => definition ?? "the indexes that everybody has";

const document = ({ experiment, verdict, over }: AbResults) => ({ ...experiment, verdict, over });

export const listExperiments = async (flags: ConnectionFlags, context: CommandContext): Promise<ExitCode> => {
  const experiments = await listAbExperiments(pilotContext(flags, context));
  const { terminal } = context;
  if (context.json) terminal.out(JSON.stringify({ experiments }, null, 2));
  else if (experiments.length === 0) terminal.out("There has been no experiment in this database yet.");
  else {
    terminal.out(
      table(
        [
          { title: "number", align: "right" },
          { title: "table" },
          { title: "state" },
          { title: "since (UTC)" },
          { title: "verdict" },
          { title: "treatment", flexible: true },
        ],
        experiments.map((one) => [
          String(one.number),
          tableOf(one),
          one.state,
          one.createdAt.toISOString().slice(0, 16).replace("T", " "),
          one.verdict === null
            ? ""
            : `${one.verdict.outcome}${one.verdict.change === null ? "" : ` ${showChange(one.verdict.change)}`}`,
          definitionOf(one.treatment),
        ]),
        terminal,
      ),
    );
  }
  return ExitCode.ok;
};

/** By number, id, or the beginning of the id. @throws IndexPilotError `usage` where none or several are meant */
const idOf = async (name: string, flags: ConnectionFlags, context: CommandContext): Promise<string> => {
  const experiments = await listAbExperiments(pilotContext(flags, context));
  const found = experiments.filter((one) => String(one.number) === name || one.id.startsWith(name));
  const exact = found.find((one) => String(one.number) === name) ?? found[0];
  if (exact === undefined || (found.length > 1 && String(exact.number) !== name)) {
    throw failure("usage", {
      problem: `${exact === undefined ? "no experiment is" : "several experiments are"} named ${name}`,
      hint: "`indexpilot experiment list` shows their numbers",
    });
  }
  return exact.id;
};

export const showExperiment = async (
  name: string,
  flags: ConnectionFlags,
  context: CommandContext,
): Promise<ExitCode> => {
  const found = await getAbResults(pilotContext(flags, context), await idOf(name, flags, context));
  print(found, context);
  return ExitCode.ok;
};

export interface StopExperimentFlags extends ConnectionFlags {
  readonly reason: string;
}

/** Ends it with the verdict of what was seen. Indexes are left alone. */
export const stopExperiment = async (
  name: string,
  flags: StopExperimentFlags,
  context: CommandContext,
): Promise<ExitCode> => {
  const id = await idOf(name, flags, context);
  const found = await endAbExperiment(pilotContext(flags, context), {
    id,
    actor: actorOf(context),
    reason: flags.reason,
  });
  print(found, context);
  return ExitCode.ok;
};

const print = (found: AbResults, context: CommandContext): void => {
  const { terminal } = context;
  const { experiment, verdict } = found;
  if (context.json) {
    terminal.out(JSON.stringify(document(found), null, 2));
    return;
  }
  const { colors } = terminal;
  terminal.out(
    `${colors.bold(`experiment ${String(experiment.number)} on ${tableOf(experiment)}`)}, ${experiment.state}${experiment.endReason === null ? "" : ` (${experiment.endReason})`}`,
  );
  const share = `${(experiment.treatmentShare * 100).toFixed(0)} % of the ${experiment.unit === "slice" ? "slices of time" : "transactions"}`;
  terminal.out(`  control    ${definitionOf(experiment.control)}`);
  terminal.out(`  treatment  ${definitionOf(experiment.treatment)}, for ${share}`);
  terminal.out(
    `  ${paintOutcome(verdict.outcome, terminal)}${verdict.change === null ? "" : ` ${showChange(verdict.change)} ${showInterval(verdict.interval)}`}, ${String(verdict.soundBlocks)} windows of ${formatDuration(experiment.blockMs)}${verdict.voidBlocks === 0 ? "" : `, ${String(verdict.voidBlocks)} void`}`,
  );
  terminal.out(`    ${colors.dim(verdict.reason)}`);
  if (verdict.units !== null) {
    const { control, treatment, splitPValue } = verdict.units;
    terminal.out(
      `  split: ${String(treatment)} of ${String(treatment + control)} units got the treatment (p = ${splitPValue.toPrecision(2)})`,
    );
  }
  if (verdict.errors !== null) terminal.out(`  errors: ${describeErrors(verdict.errors)}`);
  if (verdict.statements.length === 0) return;
  terminal.out(
    table(
      [
        { title: "statement" },
        { title: "calls", align: "right" },
        { title: "control ms", align: "right" },
        { title: "treatment ms", align: "right" },
        { title: "change", align: "right" },
        { title: "verdict" },
      ],
      verdict.statements.map((one) => [
        one.statementId,
        `${String(one.controlCalls)} / ${String(one.treatmentCalls)}`,
        one.controlMs?.toPrecision(3) ?? "",
        one.treatmentMs?.toPrecision(3) ?? "",
        one.change === null ? "" : `${showChange(one.change)} ${showInterval(one.interval)}`,
        one.outcome,
      ]),
      terminal,
    ),
  );
};

const points = (value: number): string => `${value > 0 ? "+" : ""}${(value * 100).toFixed(2)}`;

const describeErrors = ({ difference, interval, outcome }: NonNullable<ExperimentVerdict["errors"]>): string =>
  `${points(difference)} points of the units [${points(interval.low)}, ${points(interval.high)}], ${outcome}`;
