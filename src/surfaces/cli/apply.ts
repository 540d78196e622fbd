import { describeIndex } from "../../domain/index.ts";
import { formatSize } from "../../config/index.ts";
import { ExitCode } from "../../errors.ts";
import {
  adviceDocument,
  apply as applyToTarget,
  applyPlan,
  type CarriedOut,
  type Conducted,
  conductExperiments,
  type PilotContext,
  type Pursued,
  verify as verifyTarget,
  withSession,
  workloadOfTraffic,
} from "../../pilot/index.ts";
import { openSession } from "../../postgres/index.ts";
import { advise, type AnalysisFlags } from "./advise.ts";
import { showAdvice } from "./advice-view.ts";
import { actorOf, type CommandContext, type ConnectionFlags, pilotContext } from "./context.ts";
import { buildDocument, describeBuild, showVerdict, verdictDocument } from "./outcome-view.ts";
import { readPlanFile } from "./plan-file.ts";

export interface ApplyFlags extends AnalysisFlags {
  readonly yes?: boolean;
  /** `true` for `--wait` without a time. */
  readonly wait?: number | true;
  readonly baseline: number;
  readonly block: number;
  readonly acceptInstallation?: boolean;
  readonly canary?: boolean;
}

/** Both are the same wish: of the file for every time, of the flag for this time. */
const withCanary = (pilot: PilotContext, { canary }: ApplyFlags): PilotContext =>
  canary === true ? { ...pilot, settings: { ...pilot.settings, canary: "on" } } : pilot;

const actOptions = (flags: ApplyFlags, context: CommandContext) => ({
  budgetBytes: flags.budget,
  actor: actorOf(context),
  baselineMs: flags.baseline,
  blockMs: flags.block,
  minimumBlocks: context.config.settings.minimumBlocks,
  waitMs: flags.wait === undefined ? null : flags.wait === true ? context.config.settings.waitMs : flags.wait,
  acceptInstallation: flags.acceptInstallation === true,
});

const carriedOutDocument = (report: CarriedOut) => ({
  reconciled: report.reconciled.map(({ deployment, result, reason }) => ({
    name: deployment.indexName,
    result,
    reason,
  })),
  builds: report.builds.map(buildDocument),
  experiments: report.experiments,
  verdicts: report.verdicts.map(verdictDocument),
});

/** Analyses and builds, or, given a plan's file, builds what it says. */
export const apply = async (
  file: string | undefined,
  flags: ApplyFlags,
  context: CommandContext,
): Promise<ExitCode> => {
  if (file !== undefined) return applyFile(file, flags, context);
  if (flags.yes !== true) {
    const code = await advise({ ...flags, kinds: "all", objective: "time", queries: [], exclude: [] }, context);
    context.terminal.err("\nNothing was changed: this was a dry run. --yes builds.");
    return code;
  }
  const pilot = withCanary(pilotContext(flags, context), flags);
  const report = await withSession(openSession(pilot.observe, "observe"), (session) =>
    applyToTarget(pilot, {
      ...actOptions(flags, context),
      whatIf: flags.whatIf,
      maxColumns: flags.maxColumns,
      limits: context.config.settings,
      measureWrites: flags.measureWrites === true,
      workloadOf: (since) =>
        workloadOfTraffic(pilot, session, { observeMs: flags.observe ?? null, seed: flags.seed, since }),
    }),
  );
  if (report.advice === null) {
    const { reason } = report;
    const text = `${capitalised(reason)}: there is nothing new to advise. \`indexpilot verify\` finishes pending verdicts.`;
    context.terminal.out(
      context.json ? JSON.stringify({ advice: null, reason, builds: [], verdicts: [] }, null, 2) : text,
    );
    return ExitCode.ok;
  }
  if (context.json) {
    context.terminal.out(
      JSON.stringify({ advice: adviceDocument(report.advice), ...carriedOutDocument(report) }, null, 2),
    );
  } else {
    showAdvice(report.advice, context.terminal);
    showReport(report, context);
  }
  sayWhoConducts(report.experiments, context.terminal);
  return exitCodeOf(report);
};

const capitalised = (text: string): string => text.slice(0, 1).toUpperCase() + text.slice(1);

const applyFile = async (file: string, flags: ApplyFlags, context: CommandContext): Promise<ExitCode> => {
  const plan = await readPlanFile(file);
  const { terminal } = context;
  if (flags.yes !== true) {
    if (context.json) terminal.out(JSON.stringify({ dryRun: true, ...plan }, null, 2));
    else {
      terminal.out(`${file}: ${String(plan.create.length)} to create in database ${plan.target.database}`);
      for (const planned of plan.create) {
        terminal.out(
          `  ${describeIndex(planned.definition)}, about ${formatSize(planned.predictedBytes)}, for ${planned.queries.join(", ")}`,
        );
      }
      for (const { name, sizeBytes, reason, remark } of plan.drop) {
        terminal.out(`  not dropped by this: ${name}, ${formatSize(sizeBytes)}: ${reason}; ${remark}`);
      }
      terminal.err("\nNothing was changed: this was a dry run. --yes builds.");
    }
    return ExitCode.ok;
  }
  const report = await applyPlan(withCanary(pilotContext(flags, context), flags), plan, actOptions(flags, context));
  if (context.json) terminal.out(JSON.stringify(carriedOutDocument(report), null, 2));
  else showReport(report, context);
  sayWhoConducts(report.experiments, terminal);
  return exitCodeOf(report);
};

const showReport = (report: CarriedOut, { terminal }: CommandContext): void => {
  if (report.builds.length > 0) {
    terminal.out(`\n${terminal.colors.bold("Built")}`);
    for (const build of report.builds) terminal.out(`  ${describeBuild(build)}`);
  }
  showExperiments(report.experiments, terminal);
  showVerdicts(
    report.verdicts,
    report.builds.some(({ outcome }) => outcome.kind === "built"),
    terminal,
  );
};

const showExperiments = (conducted: readonly Conducted[], terminal: CommandContext["terminal"]): void => {
  if (conducted.length === 0) return;
  terminal.out(`\n${terminal.colors.bold("Canaries")}, side by side on live traffic`);
  for (const { experiment, reason } of conducted) {
    const { number, treatment, state } = experiment;
    const index = treatment.index === null ? "" : describeIndex(treatment.index);
    terminal.out(`  ${String(number)}  ${index}: ${state}`);
    terminal.out(`     ${terminal.colors.dim(reason)}`);
  }
};

const sayWhoConducts = (conducted: readonly Conducted[], terminal: CommandContext["terminal"]): void => {
  if (conducted.every(({ experiment }) => experiment.endedAt !== null)) return;
  terminal.err(
    "\n`indexpilot run` or `indexpilot verify` conducts them; where neither does, no gate is stated after a few minutes. `indexpilot experiment show` says how they stand.",
  );
};

const showVerdicts = (verdicts: readonly Pursued[], built: boolean, terminal: CommandContext["terminal"]): void => {
  if (verdicts.length > 0) {
    terminal.out(
      `\n${terminal.colors.bold("Verdicts")}, measured on live traffic (time per call, before against after)`,
    );
    for (const pursued of verdicts) showVerdict(pursued, terminal);
  }
  if ((built && verdicts.length === 0) || verdicts.some(({ result }) => result === "pending")) {
    terminal.out("\n`indexpilot verify` observes further and finishes pending verdicts.");
  }
};

const exitCodeOf = (report: CarriedOut): ExitCode => {
  const kinds = new Set(report.builds.map(({ outcome }) => outcome.kind));
  if (kinds.has("failed")) return ExitCode.failed;
  if (kinds.has("refused") || kinds.has("deferred")) return ExitCode.refused;
  return report.verdicts.some(({ verdict }) => verdict?.outcome === "worse") ? ExitCode.findings : ExitCode.ok;
};

export interface VerifyFlags extends ConnectionFlags {
  readonly wait: number;
  readonly block: number;
}

export const verify = async (flags: VerifyFlags, context: CommandContext): Promise<ExitCode> => {
  const pilot = pilotContext(flags, context);
  const actor = { name: actorOf(context), consents: true };
  const experiments = await conductExperiments(pilot, { actor, waitMs: flags.wait });
  const { reconciled, verdicts } = await verifyTarget(pilot, { actor, blockMs: flags.block, waitMs: flags.wait });
  if (context.json) {
    context.terminal.out(
      JSON.stringify(
        {
          reconciled: reconciled.map(({ deployment, result, reason }) => ({
            name: deployment.indexName,
            result,
            reason,
          })),
          experiments,
          verdicts: verdicts.map(verdictDocument),
        },
        null,
        2,
      ),
    );
  } else {
    showExperiments(experiments, context.terminal);
    if (verdicts.length > 0) showVerdicts(verdicts, false, context.terminal);
    else if (experiments.length === 0) context.terminal.out("No verdict is pending.");
  }
  sayWhoConducts(experiments, context.terminal);
  return verdicts.some(({ verdict }) => verdict?.outcome === "worse") ? ExitCode.findings : ExitCode.ok;
};
