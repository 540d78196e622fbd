import { formatSize } from "../../config/index.ts";
import { ExitCode } from "../../errors.ts";
import { dropIndex, type DropInquiry, endTrial, findDrop } from "../../pilot/index.ts";
import { showNotDropped, showVerdict, verdictDocument } from "./outcome-view.ts";
import { actorOf, type CommandContext, type ConnectionFlags, pilotContext } from "./context.ts";

export interface DropFlags extends ConnectionFlags {
  readonly yes?: boolean;
  readonly observe?: number;
  readonly seed: number;
  readonly trial: number;
  readonly undo?: boolean;
}

const inquiryDocument = ({ standing, objection, planned, unread }: DropInquiry) => ({
  name: standing.name,
  table: `${standing.table.schema}.${standing.table.name}`,
  definition: standing.definition,
  sizeBytes: standing.sizeBytes,
  objection,
  plannedStatements: planned,
  unreadStatements: unread,
});

const showInquiry = ({ standing, objection, planned, unread }: DropInquiry, { terminal }: CommandContext): void => {
  terminal.out(`${standing.definition}, ${formatSize(standing.sizeBytes)}`);
  if (objection !== null) terminal.out(`  ${terminal.colors.yellow("stays")} (${objection.code}): ${objection.reason}`);
  else
    terminal.out(
      `  ${String(planned ?? 0)} statements were planned without it, and none is dearer than the gate allows`,
    );
  if (unread.length > 0) {
    terminal.out(`  ${String(unread.length)} statements could not be read, and may need it, e.g. ${unread[0] ?? ""}`);
  }
};

/** Says what speaks against dropping an index, anybody's, and, where nothing does and `--yes` says so, drops it. */
export const drop = async (index: string, flags: DropFlags, context: CommandContext): Promise<ExitCode> => {
  const pilot = pilotContext(flags, context);
  const { terminal } = context;
  if (flags.undo === true) {
    const ended = await endTrial(pilot, { index, actor: actorOf(context) });
    if (context.json)
      terminal.out(
        JSON.stringify({ kind: ended.kind, ...("reason" in ended ? { reason: ended.reason } : {}) }, null, 2),
      );
    else if (ended.kind === "done") terminal.out(`${index}: the planner sees it again`);
    else terminal.alarm(`refused (${ended.code}): ${ended.reason}`);
    return ended.kind === "done" ? ExitCode.ok : ExitCode.refused;
  }
  const request = { index, observeMs: flags.observe ?? null, seed: flags.seed };
  if (flags.yes !== true) {
    const inquiry = await findDrop(pilot, request);
    if (context.json) terminal.out(JSON.stringify({ dryRun: true, ...inquiryDocument(inquiry) }, null, 2));
    else {
      showInquiry(inquiry, context);
      terminal.err("Nothing was changed: this was a dry run. --yes drops it.");
    }
    return inquiry.objection === null ? ExitCode.ok : ExitCode.refused;
  }
  const { inquiry, outcome } = await dropIndex(pilot, { ...request, actor: actorOf(context), trialMs: flags.trial });
  if (context.json) {
    const deployment = "deployment" in outcome ? outcome.deployment.id : null;
    const about = inquiry === null ? {} : inquiryDocument(inquiry);
    const rest =
      outcome.kind === "tried"
        ? { kind: outcome.kind, ...verdictDocument(outcome.pursued) }
        : { ...outcome, deployment };
    terminal.out(JSON.stringify({ ...about, ...rest }, null, 2));
  } else if (inquiry !== null) showInquiry(inquiry, context);
  switch (outcome.kind) {
    case "tried":
      if (!context.json) {
        showVerdict(outcome.pursued, terminal);
        if (outcome.pursued.result === "pending") {
          terminal.out(
            "The trial goes on: `indexpilot verify` looks again, `drop --undo` ends it, `drop --yes` drops at once.",
          );
        }
      }
      return outcome.pursued.result === "rolled back" ? ExitCode.findings : ExitCode.ok;
    case "dropped":
      if (!context.json) {
        terminal.out(
          `${outcome.deployment.indexName}: ${outcome.wasThere ? "dropped" : "was gone already; recorded"}. \`indexpilot versions ${outcome.deployment.indexName}\` keeps what it was; \`rollback ${outcome.deployment.indexName} --to N --not-ours\` builds it again.`,
        );
      }
      return ExitCode.ok;
    case "refused":
    case "deferred":
    case "failed":
    case "interrupted":
      // What speaks against it has been shown already.
      if (outcome.kind === "refused" && inquiry !== null && inquiry.objection !== null) return ExitCode.refused;
      return showNotDropped(outcome, context);
  }
};
