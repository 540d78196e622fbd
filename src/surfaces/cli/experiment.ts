import { formatDuration } from "../../config/index.ts";
import {
  describeIndex,
  type Experiment,
  type ExperimentMetric,
  type ExperimentUnit,
  type ExperimentVerdict,
  type IndexDefinition,
} from "../../domain/index.ts";
import { ExitCode, failure } from "../../errors.ts";
import {
  type AbResults,
  admitFollower,
  conductExperiment,
  createAbExperiment,
  createCanaryDeployment,
  endAbExperiment,
  getAbResults,
  listAbExperiments,
} from "../../pilot/index.ts";
import { loadParser, readIndexStatement } from "../../sql/index.ts";
import { actorOf, type CommandContext, type ConnectionFlags, pilotContext } from "./context.ts";
import { paintOutcome, showChange, showInterval, tableOf } from "./outcome-view.ts";
import { table } from "./terminal.ts";

const armOf = ({ index }: Experiment["control"]): string =>
  index === null ? "the indexes that everybody has" : describeIndex(index);

const document = ({ experiment, verdict, over, labels }: AbResults) => ({ ...experiment, verdict, over, labels });

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
          { title: "kind" },
          { title: "table" },
          { title: "state" },
          { title: "since (UTC)" },
          { title: "verdict" },
          { title: "treatment", flexible: true },
        ],
        experiments.map((one) => [
          String(one.number),
          one.kind,
          tableOf(one),
          one.state,
          one.createdAt.toISOString().slice(0, 16).replace("T", " "),
          one.verdict === null
            ? ""
            : `${one.verdict.outcome}${one.verdict.change === null ? "" : ` ${showChange(one.verdict.change)}`}`,
          armOf(one.treatment),
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

export interface CreateExperimentFlags extends ConnectionFlags {
  readonly treatment: string;
  readonly control?: string;
  readonly canary?: boolean;
  readonly share: number;
  readonly unit: ExperimentUnit;
  readonly metric: ExperimentMetric;
  readonly block: number;
  readonly longest: number;
  /** `true` for `--wait` without a time. */
  readonly wait?: number | true;
}

/** @throws IndexPilotError `usage` where the text is no index that an arm can have */
const readArm = (text: string, flag: string): IndexDefinition => {
  const reading = readIndexStatement(text);
  if (reading.kind === "index") return reading.definition;
  throw failure("usage", {
    problem: `${flag} '${text}' cannot be an arm: ${reading.problem}`,
    hint: "write it as 'orders (customer_id, created_at desc) include (status)': plain columns of one table",
  });
};

/** Lays an experiment down; with `--wait` conducts it as well. */
export const createExperiment = async (flags: CreateExperimentFlags, context: CommandContext): Promise<ExitCode> => {
  await loadParser();
  const treatment = readArm(flags.treatment, "--treatment");
  const pilot = pilotContext(flags, context);
  const actor = actorOf(context);
  const { id, number } =
    flags.canary === true
      ? await createCanaryDeployment(pilot, { index: treatment, actor })
      : await createAbExperiment(pilot, {
          table: treatment.table,
          treatment,
          control: flags.control === undefined ? null : readArm(flags.control, "--control"),
          treatmentShare: flags.share,
          unit: flags.unit,
          metric: flags.metric,
          blockMs: flags.block,
          maxMs: flags.longest,
          actor,
        });
  const waitMs = flags.wait === true ? flags.longest : flags.wait;
  const found =
    waitMs === undefined
      ? await getAbResults(pilot, id)
      : await conductExperiment(pilot, id, { actor: { name: actor, consents: true }, waitMs });
  print(found, context);
  if (found.experiment.endedAt === null) {
    context.terminal.err(
      `\n${flags.wait === undefined ? "Nothing is built yet" : "It has not ended yet"}: \`indexpilot run\` or \`indexpilot verify\` conducts it, \`indexpilot experiment show ${String(number)}\` says how it stands.`,
    );
  }
  return ExitCode.ok;
};

/** Lets a role of the application follow experiments: read them, and hand in what it saw. */
export const admitRole = async (role: string, flags: ConnectionFlags, context: CommandContext): Promise<ExitCode> => {
  const granted = await admitFollower(pilotContext(flags, context), role);
  if (context.json) context.terminal.out(JSON.stringify({ role, granted }, null, 2));
  else context.terminal.out(`${role} may follow experiments now:\n${granted.map((one) => `  ${one};`).join("\n")}`);
  return ExitCode.ok;
};

export interface StopExperimentFlags extends ConnectionFlags {
  readonly reason: string;
}

/** So long the application's processes and the safeguards are waited for. */
const REMOVAL_MS = 60_000;

/** Ends it with the verdict of what was seen, and removes what was built for it. */
export const stopExperiment = async (
  name: string,
  flags: StopExperimentFlags,
  context: CommandContext,
): Promise<ExitCode> => {
  const id = await idOf(name, flags, context);
  const pilot = pilotContext(flags, context);
  const actor = actorOf(context);
  await endAbExperiment(pilot, { id, actor, reason: flags.reason });
  const conducting = { actor: { name: actor, consents: true }, waitMs: REMOVAL_MS };
  const found = await conductExperiment(pilot, id, conducting);
  print(found, context);
  if (found.experiment.endedAt === null) {
    context.terminal.err(
      "\nIts indexes are still there: `indexpilot run` or `indexpilot verify` goes on removing them.",
    );
  }
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
  const of = experiment.unit === "slice" ? "slices of time" : "transactions";
  const shares = experiment.stages.map((one, at) =>
    at === experiment.stage ? colors.bold(`${(one * 100).toFixed(0)} %`) : `${(one * 100).toFixed(0)} %`,
  );
  const { gate } = experiment.treatment;
  const share =
    gate?.upTo === undefined
      ? `${shares.join(" → ")} of the ${of}`
      : `tenants of ${gate.column} up to ${gate.upTo}, then everybody`;
  terminal.out(`  control    ${armOf(experiment.control)}`);
  terminal.out(`  treatment  ${armOf(experiment.treatment)}, for ${share}`);
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
  const { writes } = verdict;
  if (writes?.change !== undefined && writes.change !== null) {
    terminal.out(
      `  writes: ${writes.outcome} ${showChange(writes.change)} ${showInterval(writes.interval)}, before and after, by everybody`,
    );
  }
  if (verdict.errors !== null) terminal.out(`  errors: ${describeErrors(verdict.errors)}`);
  if (verdict.statements.length === 0) return;
  terminal.out(
    table(
      [
        { title: "statement" },
        { title: "", flexible: true },
        { title: "calls", align: "right" },
        { title: "control ms", align: "right" },
        { title: "treatment ms", align: "right" },
        { title: "change", align: "right" },
        { title: "verdict" },
      ],
      verdict.statements.map((one) => [
        one.statementId,
        found.labels[one.statementId] ?? "",
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
