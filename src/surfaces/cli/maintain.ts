import { formatSize } from "../../config/index.ts";
import { type Deployment, describeIndex } from "../../domain/index.ts";
import { ExitCode } from "../../errors.ts";
import {
  type BuildReport,
  carryOutFindings,
  type DropReport,
  type FoundChanges,
  maintain as runMaintenance,
  type Maintained,
  proposeFindings,
  type RebuiltIndex,
  rebuiltOf,
  type Refreshed,
  refreshStatistics,
} from "../../pilot/index.ts";
import { quoteName } from "../../postgres/index.ts";
import { actorOf, type CommandContext, type ConnectionFlags, pilotContext } from "./context.ts";
import { showRebuilt } from "./outcome-view.ts";
import { hanging, table, type Terminal } from "./terminal.ts";

export interface MaintainFlags extends ConnectionFlags {
  readonly yes?: boolean;
}

type Rebuilt = Maintained["rebuilt"][number];

const rebuiltIn = ({ result: { outcome } }: Rebuilt): RebuiltIndex | null =>
  outcome?.kind === "built" ? rebuiltOf(outcome.deployment) : null;

const outcomeText = (one: Rebuilt): string => {
  const rebuilt = rebuiltIn(one);
  if (rebuilt !== null) return showRebuilt(rebuilt);
  const { outcome, impossible } = one.result;
  if (outcome === null) return `not possible: ${impossible?.reason ?? ""}`;
  return "reason" in outcome ? `${outcome.kind}: ${outcome.reason}` : outcome.kind;
};

/** The index as a person would name it; one that is to be created by what it is. */
const subjectOf = ({ intended, table, indexName }: Deployment): string =>
  intended === null ? quoteName({ schema: table.schema, name: indexName }) : describeIndex(intended);

interface Kept {
  readonly maintained: Maintained;
  readonly refreshed: readonly Refreshed[];
  readonly found: FoundChanges;
  /** What had been approved and was carried out. */
  readonly carriedOut: readonly (DropReport | BuildReport)[];
}

const documentOf = ({ maintained, refreshed, found, carriedOut }: Kept, dryRun: boolean) => {
  const { report, chosen, declined, rebuilt, leftForNextRun } = maintained;
  return {
    at: report.at,
    threshold: report.threshold,
    dryRun,
    analyzed: dryRun
      ? report.staleStatistics.map(({ table }) => ({ table: quoteName(table), done: false }))
      : refreshed.map(({ table, done, reason }) => ({ table: quoteName(table), done, reason })),
    chosen,
    declined,
    rebuilt: rebuilt.map((one) => ({
      index: one.choice.name,
      outcome: one.result.outcome?.kind ?? "not_possible",
      bytesBefore: one.choice.sizeBytes,
      bytesPredicted: one.choice.neededBytes,
      bytesAfter: rebuiltIn(one)?.bytesAfter ?? null,
      predictionError: rebuiltIn(one)?.predictionError ?? null,
    })),
    leftForNextRun,
    carriedOut: carriedOut.map(({ deployment, outcome }) => ({ index: deployment.indexName, outcome: outcome.kind })),
    proposals: found.proposals.map((one) => ({
      act: one.kind,
      finding: one.rationale.finding,
      name: subjectOf(one),
      bytes: one.sizeBytes ?? one.predictedBytes,
      reason: one.rationale.reason,
      state: dryRun ? null : one.state,
    })),
    notProposed: found.declined,
  };
};

const showRebuilds = ({ report, chosen, declined, rebuilt }: Maintained, dryRun: boolean, terminal: Terminal): void => {
  const percent = (100 * report.threshold).toFixed(0);
  if (chosen.length === 0) terminal.out(`No index above ${percent} % of bloat is worth a rebuild now.`);
  else {
    terminal.out(
      table(
        [
          { title: "index" },
          { title: "size", align: "right" },
          { title: "after a rebuild", align: "right" },
          { title: dryRun ? "" : "what came", flexible: true },
        ],
        chosen.map((choice) => {
          const one = rebuilt.find((each) => each.choice === choice);
          const came = dryRun ? "" : one === undefined ? "left for the next run" : outcomeText(one);
          return [choice.name, formatSize(choice.sizeBytes), formatSize(choice.neededBytes), came];
        }),
        terminal,
      ),
    );
  }
  for (const { name, reason } of declined) terminal.out(hanging("  ", `not ${name}: ${reason}`, terminal));
};

const showFound = ({ proposals, declined }: FoundChanges, dryRun: boolean, terminal: Terminal): void => {
  if (proposals.length > 0) {
    terminal.out("");
    terminal.out(terminal.colors.bold(dryRun ? "Would wait for approval" : "Proposed"));
    for (const one of proposals) {
      const bytes = one.sizeBytes ?? one.predictedBytes;
      const size = bytes === null ? "" : `, ${formatSize(bytes)}`;
      const approved = one.state === "approved" ? " (approved)" : "";
      terminal.out(hanging("  ", `${one.kind} ${subjectOf(one)}${size}${approved}: ${one.rationale.reason}`, terminal));
    }
    if (!dryRun)
      terminal.out("`indexpilot approve NAME` lets one be carried out, `indexpilot decline NAME` lets it stay.");
  }
  if (declined.length > 0) {
    terminal.out("");
    terminal.out(terminal.colors.bold("Found, and not proposed"));
    for (const { name, reason } of declined) terminal.out(hanging("  ", `${name}: ${reason}`, terminal));
  }
};

/**
 * Keeps house: analyses what is stale, rebuilds what is bloated and worth it, carries out what was approved, and proposes what else it found; a dry run unless `--yes`.
 */
export const maintain = async (flags: MaintainFlags, context: CommandContext): Promise<ExitCode> => {
  const { terminal } = context;
  const dryRun = flags.yes !== true;
  const pilot = pilotContext(flags, context);
  const actor = actorOf(context);
  // First, for fresh statistics are what tells bloat.
  const refreshed = dryRun ? [] : await refreshStatistics(pilot, { name: actor, consents: true });
  const maintained = await runMaintenance(pilot, {
    rebuild: dryRun ? null : { actor },
    readBytes: context.config.settings.healthReadBytes,
  });
  const carriedOut = dryRun ? [] : await carryOutFindings(pilot);
  const found = await proposeFindings(pilot, maintained.report, { actor, store: !dryRun });
  const kept = { maintained, refreshed, found, carriedOut };
  if (context.json) terminal.out(JSON.stringify(documentOf(kept, dryRun), null, 2));
  else {
    const stale = dryRun
      ? maintained.report.staleStatistics.map(({ table }) => `${quoteName(table)}: its statistics are stale`)
      : refreshed.map(
          ({ table, done, reason }) => `${quoteName(table)}: ${done ? "analysed" : `not analysed, ${reason}`}`,
        );
    for (const line of stale) terminal.out(hanging("  ", line, terminal));
    showRebuilds(maintained, dryRun, terminal);
    for (const { deployment, outcome } of carriedOut) {
      const why = "reason" in outcome ? `: ${outcome.reason}` : "";
      terminal.out(hanging("  ", `approved earlier: ${deployment.indexName} ${outcome.kind}${why}`, terminal));
    }
    showFound(found, dryRun, terminal);
    if (dryRun) {
      terminal.err(
        "a dry run: with --yes stale tables are analysed, indexes rebuilt, concurrently and one after the other, approved changes carried out, and the others proposed",
      );
    }
  }
  const built = maintained.rebuilt.filter((one) => rebuiltIn(one) !== null).length;
  if (dryRun || built === maintained.chosen.length) return ExitCode.ok;
  return maintained.rebuilt.some(({ result }) => result.outcome?.kind === "failed")
    ? ExitCode.failed
    : ExitCode.refused;
};
