import { formatDuration, formatSize } from "../../config/index.ts";
import { ExitCode } from "../../errors.ts";
import {
  type BuildReport,
  planReindex,
  planVersionRollback,
  reindexIndex,
  type ReindexPlan,
  rollbackIndexVersion,
  type VersionRollback,
} from "../../pilot/index.ts";
import { actorOf, type CommandContext, type ConnectionFlags, pilotContext } from "./context.ts";
import { buildDocument, describeBuild } from "./outcome-view.ts";

/** How a build of one index ended, as exit code. */
const exitCodeOf = (outcome: BuildReport["outcome"]): ExitCode => {
  switch (outcome.kind) {
    case "built":
      return ExitCode.ok;
    case "refused":
    case "deferred":
      return ExitCode.refused;
    case "failed":
      return ExitCode.failed;
    case "interrupted":
      return ExitCode.interrupted;
  }
};

const showOutcome = (name: string, outcome: BuildReport["outcome"], { terminal }: CommandContext): void => {
  if (outcome.kind === "built") {
    const { buildMs, sizeBytes } = outcome.deployment;
    terminal.out(`${name}: built in ${formatDuration(buildMs ?? 0)}, ${formatSize(sizeBytes ?? 0)}`);
  } else if (outcome.kind === "refused") terminal.alarm(describeRefusal(name, outcome));
  else terminal.alarm(describeBuild({ deployment: outcome.deployment, outcome }));
};

const describeRefusal = (
  name: string,
  { code, reason, retryAt }: Extract<BuildReport["outcome"], { kind: "refused" }>,
): string =>
  `${name}: refused (${code}): ${reason}${retryAt === null ? "" : `; ask again after ${retryAt.toISOString()}`}`;

const outcomeDocument = (outcome: BuildReport["outcome"]) => ({
  outcome: outcome.kind,
  ...("deployment" in outcome ? { build: buildDocument({ deployment: outcome.deployment, outcome }) } : {}),
  ...("reason" in outcome ? { reason: outcome.reason } : {}),
  ...("code" in outcome ? { code: outcome.code } : {}),
  ...("retryAt" in outcome ? { retryAt: outcome.retryAt?.toISOString() ?? null } : {}),
});

export interface VersionRollbackFlags extends ConnectionFlags {
  readonly to: number;
  readonly yes?: boolean;
  readonly notOurs?: boolean;
  readonly reason?: string;
}

const rollbackDocument = ({ series, version, standing, owner, predictedBytes, buildMs, answer }: VersionRollback) => ({
  index: `${series.schema}.${series.name}`,
  table: `${series.table.schema}.${series.table.name}`,
  version: version.number,
  wanted: { definition: version.definition, constraint: version.constraint, tablespace: version.tablespace },
  standing:
    standing === null
      ? null
      : {
          definition: standing.definition,
          constraint: standing.constraint,
          tablespace: standing.tablespace,
          sizeBytes: standing.sizeBytes,
          ours: owner !== null,
        },
  predictedBytes,
  buildMs,
  answer,
});

const describeAnswer = (index: string, { answer, standing }: VersionRollback): string | null => {
  switch (answer.kind) {
    case "possible":
      return null;
    case "unchanged":
      return `${index} is that already.`;
    case "not_ours":
      return standing === null
        ? `${index} was not IndexPilot's: --not-ours says that it may be built again.`
        : `${index} is not IndexPilot's: --not-ours says that it may be replaced all the same.`;
    case "impossible":
      return `${index} cannot be rolled back (${answer.code}): ${answer.reason}\n  what remains: ${answer.remedy}`;
  }
};

/** `rollback --to N`: lets an index be again what it was. */
export const rollbackVersion = async (
  index: string,
  flags: VersionRollbackFlags,
  context: CommandContext,
): Promise<ExitCode> => {
  const pilot = pilotContext(flags, context);
  const { terminal } = context;
  const options = { index, to: flags.to, notOurs: flags.notOurs === true };
  const isDry = flags.yes !== true;
  const { plan, outcome } = isDry
    ? { plan: await planVersionRollback(pilot, options), outcome: null }
    : await rollbackIndexVersion(pilot, { ...options, actor: actorOf(context), reason: flags.reason ?? "" });
  const objection = describeAnswer(index, plan);
  if (context.json) {
    const document = {
      ...(isDry ? { dryRun: true } : {}),
      ...rollbackDocument(plan),
      ...(outcome === null ? {} : outcomeDocument(outcome)),
    };
    terminal.out(JSON.stringify(document, null, 2));
  } else if (outcome !== null) showOutcome(plan.series.name, outcome, context);
  else if (objection === null) showRollback(plan, context);
  else terminal[plan.answer.kind === "unchanged" ? "out" : "alarm"](objection);
  if (outcome !== null) return exitCodeOf(outcome);
  return plan.answer.kind === "not_ours" || plan.answer.kind === "impossible" ? ExitCode.refused : ExitCode.ok;
};

const showRollback = (plan: VersionRollback, { terminal }: CommandContext): void => {
  const { version, standing, predictedBytes, buildMs } = plan;
  const of = ({ definition, constraint }: Pick<VersionRollback["version"], "definition" | "constraint">): string =>
    `${definition}${constraint === null ? "" : ` (constraint: ${constraint})`}`;
  terminal.out(`Would build, concurrently: ${of(version)}`);
  terminal.out(
    `  version ${String(version.number)}, about ${formatSize(predictedBytes)}, in about ${formatDuration(buildMs)}`,
  );
  if (standing !== null) {
    terminal.out(`and drop, when that has its name: ${of(standing)}`);
    terminal.out(`  ${formatSize(standing.sizeBytes)}; until then both need their place`);
    if (standing.constraint !== null || version.constraint !== null) {
      terminal.out("  the constraint changes in one short transaction, for which the table is locked exclusively");
    }
  }
  terminal.err("Nothing was changed: this was a dry run. --yes does it.");
};

export interface ReindexFlags extends ConnectionFlags {
  readonly yes?: boolean;
  readonly reason?: string;
}

const reindexDocument = ({ standing, buildMs, impossible }: ReindexPlan) => ({
  index: `${standing.schema}.${standing.name}`,
  table: `${standing.table.schema}.${standing.table.name}`,
  definition: standing.definition,
  sizeBytes: standing.sizeBytes,
  buildMs,
  impossible,
});

export const reindex = async (index: string, flags: ReindexFlags, context: CommandContext): Promise<ExitCode> => {
  const pilot = pilotContext(flags, context);
  const { terminal } = context;
  const isDry = flags.yes !== true;
  const { plan, outcome } = isDry
    ? { plan: await planReindex(pilot, index), outcome: null }
    : await reindexIndex(pilot, { index, actor: actorOf(context), reason: flags.reason ?? "" });
  const { standing, buildMs, impossible } = plan;
  if (context.json) {
    const document = {
      ...(isDry ? { dryRun: true } : {}),
      ...reindexDocument(plan),
      ...(outcome === null ? {} : outcomeDocument(outcome)),
    };
    terminal.out(JSON.stringify(document, null, 2));
  } else if (outcome !== null) {
    showOutcome(standing.name, outcome, context);
    if (outcome.kind === "built") terminal.out(`  it had ${formatSize(standing.sizeBytes)} before`);
  } else if (impossible === null) {
    terminal.out(`Would rebuild, concurrently: ${standing.definition}`);
    terminal.out(
      `  ${formatSize(standing.sizeBytes)}, in about ${formatDuration(buildMs)}; until then both files need their place`,
    );
    terminal.err("Nothing was changed: this was a dry run. --yes does it.");
  } else {
    terminal.alarm(
      `${index} cannot be rebuilt (${impossible.code}): ${impossible.reason}\n  what remains: ${impossible.remedy}`,
    );
  }
  if (outcome !== null) return exitCodeOf(outcome);
  return impossible === null ? ExitCode.ok : ExitCode.refused;
};
