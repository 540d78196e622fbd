import { formatDuration } from "../../config/index.ts";
import { ExitCode, failure } from "../../errors.ts";
import {
  advise as adviseTarget,
  adviceDocument,
  changePlan,
  countersAtLastChange,
  explicandumDocument,
  findExplicandum,
  liveTarget,
  type Goal,
  type PilotContext,
  snapshotTarget,
  type TargetSource,
  withReplicas,
  withSession,
  workloadOfFiles,
  workloadOfTraffic,
} from "../../pilot/index.ts";
import { openSession } from "../../postgres/index.ts";
import { systemClock } from "../../runtime/index.ts";
import { readSnapshotFile } from "../../snapshot/index.ts";
import { adviceMarkdown, adviceSql } from "./advice-text.ts";
import { showAdvice } from "./advice-view.ts";
import { type CommandContext, type ConnectionFlags, pilotContext } from "./context.ts";
import { showExplicandum } from "./explicandum-view.ts";
import { writePlanFile } from "./plan-file.ts";

/** How the workload is come by. */
export interface WorkloadFlags extends ConnectionFlags {
  readonly observe?: number;
  readonly seed: number;
  readonly queries: readonly string[];
  readonly exclude: readonly string[];
}

export interface AnalysisFlags extends ConnectionFlags {
  readonly budget: number;
  readonly whatIf: "shadow" | "hypopg";
  readonly maxColumns: number;
  readonly measureWrites?: boolean;
  readonly observe?: number;
  readonly seed: number;
}

export interface AdviseFlags extends AnalysisFlags, WorkloadFlags {
  readonly kinds: "btree" | "all";
  readonly objective: Goal;
  readonly time?: number;
  readonly snapshot?: string;
  readonly out?: string;
  readonly markdown?: boolean;
  readonly sql?: boolean;
  /** An index's number or columns, or a query's name. */
  readonly explain?: string;
}

/** Opens the live target that the flags name, with its workload (`sinceChange`: what has run since our last change), and closes it again. */
export const withLiveTarget = <T>(
  flags: WorkloadFlags,
  pilot: PilotContext,
  work: (source: TargetSource) => Promise<T>,
  { sinceChange = false }: { readonly sinceChange?: boolean } = {},
): Promise<T> =>
  withSession(openSession(pilot.observe, "observe"), (session) =>
    withReplicas(pilot.replicas ?? [], session, async (replicas) =>
      work(
        liveTarget(
          session,
          flags.queries.length > 0
            ? workloadOfFiles(session, flags)
            : workloadOfTraffic(pilot, session, {
                observeMs: flags.observe ?? null,
                seed: flags.seed,
                replicas,
                since: sinceChange ? await countersAtLastChange(session) : null,
                whenQuiet: "take_all",
              }),
          replicas,
        ),
      ),
    ),
  );

/** A snapshot has answered already what these flags ask. */
const requireNothingLive = (flags: AdviseFlags, { config }: CommandContext): void => {
  const given = new Set(config.effective.map(({ source }) => source));
  const meaningless = [
    ...(flags.queries.length === 0 && flags.exclude.length === 0 ? [] : ["--queries"]),
    ...(flags.observe === undefined ? [] : ["--observe"]),
    ...((flags.replicaUrl ?? []).length === 0 ? [] : ["--replica-url"]),
    ...["--url", "--build-url", "--seed", "--what-if"].filter((flag) => given.has(flag)),
  ];
  if (meaningless.length === 0) return;
  throw failure("usage", {
    problem: `--snapshot and ${meaningless.join(", ")} exclude each other`,
    hint: "a snapshot brings its own database, workload and values; give --queries and --seed to `indexpilot snapshot`",
  });
};

export const advise = async (flags: AdviseFlags, context: CommandContext): Promise<ExitCode> => {
  const run = (source: TargetSource): ReturnType<typeof adviseTarget> =>
    adviseTarget({
      source,
      clock: systemClock,
      signal: context.signal,
      emit: context.emit,
      budgetBytes: flags.budget,
      whatIf: flags.whatIf,
      maxColumns: flags.maxColumns,
      limits: context.config.settings,
      measureWrites: flags.measureWrites === true,
      kinds: flags.kinds,
      goal: flags.objective,
      ...(flags.time === undefined ? {} : { searchMs: flags.time }),
    });
  const startedMs = systemClock.monotonicMs();
  if (flags.snapshot !== undefined) requireNothingLive(flags, context);
  const advice =
    flags.snapshot === undefined
      ? await withLiveTarget(flags, pilotContext(flags, context), run, { sinceChange: true })
      : await run(snapshotTarget(await readSnapshotFile(flags.snapshot)));
  const { terminal } = context;
  context.emit({ kind: "note", text: `took ${formatDuration(systemClock.monotonicMs() - startedMs)}` });
  if (flags.explain !== undefined) {
    const one = findExplicandum(advice, flags.explain);
    if (context.json) terminal.out(JSON.stringify(explicandumDocument(advice, one), null, 2));
    else showExplicandum(advice, one, terminal);
  } else if (context.json) terminal.out(JSON.stringify(adviceDocument(advice), null, 2));
  else if (flags.markdown === true) terminal.out(adviceMarkdown(advice));
  else if (flags.sql === true) terminal.out(adviceSql(advice));
  else showAdvice(advice, terminal);
  if (flags.out !== undefined) {
    await writePlanFile(flags.out, changePlan(advice));
    terminal.err(`\nThe plan is in ${flags.out}; \`indexpilot apply ${flags.out} --yes\` carries it out.`);
  }
  return ExitCode.ok;
};
