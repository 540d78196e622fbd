import { describeIndex } from "../../domain/index.ts";
import { ExitCode, failure } from "../../errors.ts";
import {
  explain as explainTarget,
  type Explained,
  type ExplainedBinding,
  type Explanation,
  liveTarget,
  onlyFingerprint,
  snapshotTarget,
  type TargetSource,
  withSession,
  workloadOfText,
} from "../../pilot/index.ts";
import { openSession, renderCreateIndex } from "../../postgres/index.ts";
import { systemClock } from "../../runtime/index.ts";
import { readSnapshotFile } from "../../snapshot/index.ts";
import { withLiveTarget, type WorkloadFlags } from "./advise.ts";
import { type CommandContext, pilotContext } from "./context.ts";
import { planDocument, plansBeside, planText } from "./plan-view.ts";

export interface ExplainFlags extends WorkloadFlags {
  readonly compare?: boolean;
  readonly fingerprint?: string;
  readonly snapshot?: string;
  readonly whatIf: "shadow" | "hypopg";
}

const withSource = async <T>(
  sql: string | undefined,
  flags: ExplainFlags,
  context: CommandContext,
  work: (source: TargetSource) => Promise<T>,
): Promise<T> => {
  const given = [sql, flags.fingerprint, flags.queries.length > 0 ? "files" : undefined];
  if (given.filter((one) => one !== undefined).length > 1) {
    throw failure("usage", {
      problem: "several kinds of statement were given",
      hint: "give one: a statement, --queries, or --fingerprint",
    });
  }
  const chosen = (source: TargetSource): Promise<T> =>
    work(flags.fingerprint === undefined ? source : onlyFingerprint(source, flags.fingerprint.toLowerCase()));
  if (flags.snapshot !== undefined) {
    const given = context.config.effective.some(({ source }) => source === "--url" || source === "--what-if");
    if (sql !== undefined || flags.queries.length > 0 || given) {
      throw failure("usage", {
        problem: "a snapshot knows its own statements only, and the shadow is their only planner",
        hint: "choose among them with --fingerprint",
      });
    }
    return chosen(snapshotTarget(await readSnapshotFile(flags.snapshot)));
  }
  const pilot = pilotContext(flags, context);
  return sql === undefined
    ? withLiveTarget(flags, pilot, chosen)
    : withSession(openSession(pilot.observe, "observe"), (session) =>
        work(liveTarget(session, workloadOfText(session, { text: sql, seed: flags.seed }))),
      );
};

export const explain = async (
  sql: string | undefined,
  flags: ExplainFlags,
  context: CommandContext,
): Promise<ExitCode> => {
  const explanation = await withSource(sql, flags, context, (source) =>
    explainTarget({
      source,
      clock: systemClock,
      signal: context.signal,
      emit: context.emit,
      whatIf: flags.whatIf,
      budgetBytes: context.config.settings.budgetBytes,
      maxColumns: context.config.settings.maxColumns,
      limits: context.config.settings,
    }),
  );
  if (context.json) context.terminal.out(JSON.stringify(explanationDocument(explanation), null, 2));
  else {
    for (const one of explanation.statements) show(explanation, one, flags.compare === true, context);
    for (const { label, reason } of explanation.declined) {
      context.terminal.out(`${context.terminal.colors.bold(label)}\n  no plan: ${reason}\n`);
    }
  }
  return ExitCode.ok;
};

const renaming =
  ({ planNames }: Explanation) =>
  (name: string): string => {
    const definition = planNames.get(name);
    return definition === undefined ? name : `[${describeIndex(definition)}]`;
  };

const explanationDocument = (explanation: Explanation): object => {
  const rename = renaming(explanation);
  return {
    planner: explanation.planner,
    statements: explanation.statements.map(({ statement, name, calibration, bindings }) => ({
      label: name,
      fingerprint: statement.fingerprint,
      confidence: calibration.confidence,
      confidenceReason: calibration.reason,
      targetCost: calibration.targetCost,
      whatIfCost: calibration.whatIfCost,
      plans: bindings.map(({ share, target, whatIf, advised, uses }) => ({
        share,
        target: target.kind === "read" ? planDocument(target.value, rename) : null,
        targetReason: target.kind === "read" ? null : target.reason,
        whatIf: whatIf.kind === "planned" ? planDocument(whatIf.plan, rename) : null,
        whatIfReason: whatIf.kind === "planned" ? null : whatIf.reason,
        advised: advised.kind === "planned" ? planDocument(advised.plan, rename) : null,
        uses: uses.map((definition) => renderCreateIndex(definition, null, { concurrently: false })),
      })),
    })),
    declined: explanation.declined,
  };
};

const show = (
  explanation: Explanation,
  { name, calibration, bindings }: Explained,
  compare: boolean,
  { terminal }: CommandContext,
): void => {
  const { colors } = terminal;
  const reason = calibration.reason === null ? "" : `: ${calibration.reason}`;
  terminal.out(`${colors.bold(name)}\n  confidence ${calibration.confidence}${reason}`);
  for (const [at, binding] of bindings.entries()) {
    if (bindings.length > 1) {
      const share = Math.round(binding.share * 100);
      terminal.out(
        colors.dim(`\n  values ${String(at + 1)} of ${String(bindings.length)} (${String(share)} % of the calls)`),
      );
    }
    if (compare) showBeside(explanation, binding, terminal);
    else showAlone(explanation, binding, terminal);
    showAdvised(explanation, binding, terminal);
  }
  terminal.out("");
};

const showBeside = (
  { planner }: Explanation,
  { target, whatIf }: ExplainedBinding,
  terminal: CommandContext["terminal"],
): void => {
  if (target.kind === "read" && whatIf.kind === "planned") {
    terminal.out(plansBeside(["target", planner], [target.value, whatIf.plan], terminal));
    return;
  }
  if (target.kind === "refused") terminal.out(`  no plan of the target: ${target.reason}`);
  if (whatIf.kind === "failed") terminal.out(`  no plan of the ${planner}: ${whatIf.reason}`);
};

const showAlone = (
  explanation: Explanation,
  { target, whatIf }: ExplainedBinding,
  terminal: CommandContext["terminal"],
): void => {
  const plan = target.kind === "read" ? target.value : whatIf.kind === "planned" ? whatIf.plan : null;
  if (plan === null) {
    terminal.out(`  no plan: ${target.kind === "refused" ? target.reason : ""}`);
    return;
  }
  terminal.out(`  ${target.kind === "read" ? "the target's plan" : `the ${explanation.planner}'s plan`}`);
  terminal.out(planText(plan, renaming(explanation)));
};

const showAdvised = (
  explanation: Explanation,
  { advised, uses }: ExplainedBinding,
  terminal: CommandContext["terminal"],
): void => {
  if (advised.kind === "failed" || uses.length === 0) {
    terminal.out("  would use no new index");
    return;
  }
  terminal.out(`  would use ${uses.map((definition) => describeIndex(definition)).join(", ")}`);
  terminal.out(planText(advised.plan, renaming(explanation)));
};
