import { formatDuration, formatSize } from "../../config/index.ts";
import { type Deployment, describeIndex } from "../../domain/index.ts";
import { ExitCode, failure } from "../../errors.ts";
import { readWaiting, rule, type Ruling } from "../../pilot/index.ts";
import { actorOf, type CommandContext, type ConnectionFlags, pilotContext } from "./context.ts";

export interface RulingFlags extends ConnectionFlags {
  readonly all?: boolean;
  readonly reason?: string;
}

const document = (deployment: Deployment) => ({
  deployment: deployment.id,
  kind: deployment.kind,
  state: deployment.state,
  name: deployment.indexName,
  table: `${deployment.table.schema}.${deployment.table.name}`,
  definition: deployment.definition,
  predictedBytes: deployment.predictedBytes,
  rationale: deployment.rationale,
  createdAt: deployment.createdAt.toISOString(),
});

const describe = ({ id, kind, intended, definition, sizeBytes, predictedBytes, rationale }: Deployment): string => {
  const { prediction, confidence } = rationale;
  return [
    `${id.slice(0, 8)}  ${kind === "reindex" ? "rebuild" : kind} ${intended === null ? definition : describeIndex(intended)}`,
    ...(kind === "drop" && sizeBytes !== null ? [formatSize(sizeBytes)] : []),
    ...(predictedBytes === null ? [] : [`about ${formatSize(predictedBytes)}`]),
    ...(prediction === undefined ? [] : [`built in about ${formatDuration(prediction.buildMs)}`]),
    ...(confidence === undefined ? [] : [`confidence ${confidence}`]),
    rationale.reason,
  ].join(", ");
};

/** Lists what waits for a person. */
const list = async (flags: RulingFlags, context: CommandContext): Promise<ExitCode> => {
  const { terminal } = context;
  const waiting = await readWaiting(pilotContext(flags, context));
  if (context.json) terminal.out(JSON.stringify({ waiting: waiting.map(document) }, null, 2));
  else if (waiting.length === 0) terminal.out("Nothing waits for approval.");
  else {
    for (const deployment of waiting) terminal.out(describe(deployment));
    terminal.out("\n`indexpilot approve NAME` lets it be done, `indexpilot decline NAME --reason …` drops the idea.");
  }
  return ExitCode.ok;
};

const decide = async (
  verdict: Ruling["verdict"],
  subjects: readonly string[],
  flags: RulingFlags,
  context: CommandContext,
): Promise<ExitCode> => {
  if (flags.all === true && subjects.length > 0) {
    throw failure("usage", { problem: "--all leaves nothing to name", hint: "give names, or --all" });
  }
  const { terminal } = context;
  const ruled = await rule(pilotContext(flags, context), {
    verdict,
    subjects: flags.all === true ? "all" : subjects,
    actor: actorOf(context),
    reason: flags.reason ?? "",
  });
  if (context.json) terminal.out(JSON.stringify({ [`${verdict}d`]: ruled.map(document) }, null, 2));
  else if (ruled.length === 0) terminal.out("Nothing waits.");
  else for (const { indexName } of ruled) terminal.out(`${indexName}: ${verdict}d`);
  return ExitCode.ok;
};

export const approve = (subjects: readonly string[], flags: RulingFlags, context: CommandContext): Promise<ExitCode> =>
  subjects.length === 0 && flags.all !== true ? list(flags, context) : decide("approve", subjects, flags, context);

export const decline = (
  subjects: readonly string[],
  flags: RulingFlags,
  context: CommandContext,
): Promise<ExitCode> => {
  if (subjects.length === 0 && flags.all !== true) {
    throw failure("usage", {
      problem: "nothing was named",
      hint: "name an index, or --all; `indexpilot approve` lists what waits",
    });
  }
  return decide("decline", subjects, flags, context);
};
