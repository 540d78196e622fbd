import { formatDuration } from "../../config/index.ts";
import {
  describeIndex,
  type Experiment,
  type ExperimentVerdict,
  shareOf,
  type WriteVerdict,
} from "../../domain/index.ts";
import { ExitCode } from "../../errors.ts";
import type { AbResults } from "../../pilot/index.ts";
import { systemClock } from "../../runtime/index.ts";
import { type CanaryQuery, type CanaryReport, type CanaryResult, runCanaryDemo } from "../../simulator/index.ts";
import type { CommandContext } from "./context.ts";
import { type DemoFlags, keepServer, milliseconds } from "./demo.ts";
import { paintOutcome, showChange, showInterval } from "./outcome-view.ts";
import { hanging, table, type Terminal } from "./terminal.ts";

/** Two canaries under live traffic: one index that helps, one that harms. */
export const demoCanary = async (flags: DemoFlags, context: CommandContext): Promise<ExitCode> => {
  const { terminal, signal } = context;
  await runCanaryDemo({
    major: flags.major,
    seed: flags.seed,
    clock: systemClock,
    signal,
    emit: context.emit,
    onLook: lookTeller(terminal),
    onDone: async (report) => {
      if (context.json) terminal.out(JSON.stringify(canaryDocument(report), null, 2));
      else showCanaries(report, terminal);
      if (flags.keep === true) await keepServer(report, context);
    },
  });
  return ExitCode.ok;
};

const seconds = (ms: number): string => `${String(Math.round(ms / 1000))} s`;
const percent = (share: number): string => `${(share * 100).toFixed(0)} %`;

const indexOf = ({ treatment }: Experiment): string => (treatment.index === null ? "" : describeIndex(treatment.index));

/** Who may use the index at this moment, or what is done instead. */
const standOf = (experiment: Experiment): string => {
  switch (experiment.state) {
    case "preparing":
      return "building";
    case "running":
      return percent(shareOf(experiment));
    case "applying":
      return "promoting";
    case "removing":
      return "removing";
    case "decided":
    case "stopped":
      return fateOf(experiment);
  }
};

const fateOf = ({ state, winner, verdict }: Experiment): string => {
  if (state !== "decided" && state !== "stopped") return "still open";
  if (winner === "treatment") return "promoted";
  return verdict?.outcome === "worse" ? "rolled back" : "removed";
};

const changeOf = ({ change, interval }: ExperimentVerdict): string =>
  change === null ? "" : ` ${showChange(change)} ${showInterval(interval)}`;

/** A line whenever a canary's stage or its verdict changes, and in between one line that changes. */
const lookTeller = (terminal: Terminal): ((canaries: readonly AbResults[], afterMs: number) => void) => {
  const told = new Map<string, string>();
  return (canaries, afterMs) => {
    const brief: string[] = [];
    for (const { experiment, verdict } of canaries) {
      const [index, stand, { outcome }] = [indexOf(experiment), standOf(experiment), verdict];
      const windows = `${String(verdict.soundBlocks)} windows`;
      brief.push(`${index} ${stand}, ${windows}, ${outcome}${changeOf(verdict)}`);
      const news = `${stand} ${outcome}`;
      if (experiment.state === "preparing" || told.get(experiment.id) === news) continue;
      told.set(experiment.id, news);
      const place = `${seconds(afterMs).padStart(5)}  ${index.padEnd(20)}  ${stand.padStart(11)}  ${windows.padStart(10)}`;
      terminal.err(`  ${place}  ${paintOutcome(outcome, terminal)}${changeOf(verdict)}`);
    }
    terminal.status(`  ${seconds(afterMs).padStart(5)}  ${brief.join(" · ")}`);
  };
};

const stagesOf = ({ stages, decidedAfterMs }: CanaryResult): string =>
  [
    ...stages.map(({ share, afterMs }) => `${percent(share)} at ${seconds(afterMs)}`),
    ...(decidedAfterMs === null ? [] : [`decided at ${seconds(decidedAfterMs)}`]),
  ].join(", ");

const showWrites = (writes: WriteVerdict | null, terminal: Terminal): string =>
  writes === null || writes.change === null || writes.interval === null
    ? "not known yet"
    : `${paintOutcome(writes.outcome, terminal)} ${showChange(writes.change)} ${showInterval(writes.interval)}`;

const showQuery = ({ name, controlMs, treatmentMs, controlCalls, treatmentCalls, interval }: CanaryQuery): string =>
  `${name}: ${milliseconds(controlMs)} without it (${String(controlCalls)} calls), ${milliseconds(treatmentMs)} with it (${String(treatmentCalls)}) ${showInterval(interval)}`.trimEnd();

/** How one was decided, and what of it is left. */
const showCanary = (canary: CanaryResult, terminal: Terminal): void => {
  const { colors } = terminal;
  const { index, experiment, reason, queries, harmed, writes, indexesNow, verdict } = canary;
  const line = (title: string, text: string): void => terminal.out(hanging(`  ${title.padEnd(11)}`, text, terminal));
  terminal.out(`\n${colors.bold(index)}`);
  line("why", reason);
  for (const one of queries) {
    if (experiment.deciding?.includes(one.statementId) !== true) continue;
    const isHarmed = harmed.some(({ statementId }) => statementId === one.statementId);
    line(isHarmed ? "harmed" : one.outcome === "better" ? "helped" : one.outcome, showQuery(one));
  }
  if (verdict.units !== null) {
    const { control, treatment, splitPValue } = verdict.units;
    const shown = `${String(control)} without it and ${String(treatment)} with it`;
    line("split", `${shown} at the last share of both, p = ${splitPValue.toPrecision(2)}`);
  }
  line("writes", showWrites(writes, terminal));
  line("catalogue", indexesNow.join(", "));
};

const showCanaries = (report: CanaryReport, terminal: Terminal): void => {
  const { colors } = terminal;
  terminal.out(`\n${colors.bold("Canaries")}, each transaction with the index beside those without it`);
  terminal.out(
    table(
      [
        { title: "index" },
        { title: "share of the transactions" },
        { title: "verdict" },
        { title: "95 % interval" },
        { title: "became" },
      ],
      report.canaries.map((one) => [
        one.index,
        stagesOf(one),
        `${paintOutcome(one.verdict.outcome, terminal)}${one.verdict.change === null ? "" : ` ${showChange(one.verdict.change)}`}`,
        showInterval(one.verdict.interval),
        colors.bold(fateOf(one.experiment)),
      ]),
      terminal,
    ),
  );
  for (const canary of report.canaries) showCanary(canary, terminal);
  const { traffic, hook } = report;
  terminal.out(
    `\n${colors.bold("The application")} made ${traffic.calls.toLocaleString("en")} calls in ${formatDuration(report.durationMs)} and saw ${String(traffic.errors)} errors;` +
      ` ${hook.gated.toLocaleString("en")} statements stated a gate.`,
  );
  terminal.out(`
${colors.bold("In your own application")}, once \`indexpilot experiment admit ROLE\` has let its role in
  const hook = intercept(pg);                                      from indexpilot/driver
  await followExperiments(hook, { url });                          from indexpilot
  npx indexpilot experiment create --canary --treatment 'orders (customer_id)' --wait --url … --build-url …`);
};

/** The same as one JSON document. */
const canaryDocument = ({ rows, loadMs, durationMs, canaries, traffic, hook }: CanaryReport) => ({
  rows,
  loadMs: Math.round(loadMs),
  durationMs,
  canaries: canaries.map(({ index, experiment, verdict, ...rest }) => ({
    index,
    experiment: experiment.id,
    became: fateOf(experiment),
    outcome: verdict.outcome,
    change: verdict.change,
    interval: verdict.interval,
    units: verdict.units,
    errors: verdict.errors,
    ...rest,
  })),
  traffic,
  hook,
});
