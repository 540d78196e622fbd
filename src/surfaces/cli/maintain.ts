import { formatSize } from "../../config/index.ts";
import { ExitCode } from "../../errors.ts";
import { maintain as runMaintenance, type Maintained, type RebuiltIndex, rebuiltOf } from "../../pilot/index.ts";
import { actorOf, type CommandContext, type ConnectionFlags, pilotContext } from "./context.ts";
import { showRebuilt } from "./outcome-view.ts";
import { hanging, table } from "./terminal.ts";

export interface MaintainFlags extends ConnectionFlags {
  readonly yes?: boolean;
}

type Rebuilt = Maintained["rebuilt"][number];

const rebuiltIn = ({ result: { outcome } }: Rebuilt): RebuiltIndex | null =>
  outcome?.kind === "built" ? rebuiltOf(outcome.deployment) : null;

const outcomeText = (one: Rebuilt): string => {
  const rebuilt = rebuiltIn(one);
  if (rebuilt !== null) return showRebuilt(rebuilt);
  const { outcome, plan } = one.result;
  if (outcome === null) return `not possible: ${plan.impossible?.reason ?? ""}`;
  return "reason" in outcome ? `${outcome.kind}: ${outcome.reason}` : outcome.kind;
};

const documentOf = ({ report, chosen, declined, rebuilt, leftForNextRun }: Maintained, dryRun: boolean) => ({
  at: report.at,
  threshold: report.threshold,
  dryRun,
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
});

/** Rebuilds what is bloated and worth it; a dry run unless `--yes`. */
export const maintain = async (flags: MaintainFlags, context: CommandContext): Promise<ExitCode> => {
  const { terminal } = context;
  const dryRun = flags.yes !== true;
  const done = await runMaintenance(pilotContext(flags, context), {
    rebuild: dryRun ? null : { actor: actorOf(context) },
    readBytes: context.config.settings.healthReadBytes,
  });
  const built = done.rebuilt.filter((one) => rebuiltIn(one) !== null).length;
  if (context.json) terminal.out(JSON.stringify(documentOf(done, dryRun), null, 2));
  else {
    const percent = (100 * done.report.threshold).toFixed(0);
    if (done.chosen.length === 0) terminal.out(`No index above ${percent} % of bloat is worth a rebuild now.`);
    else {
      terminal.out(
        table(
          [
            { title: "index" },
            { title: "size", align: "right" },
            { title: "after a rebuild", align: "right" },
            { title: dryRun ? "" : "what came", flexible: true },
          ],
          done.chosen.map((choice) => {
            const one = done.rebuilt.find((each) => each.choice === choice);
            const came = dryRun ? "" : one === undefined ? "left for the next run" : outcomeText(one);
            return [choice.name, formatSize(choice.sizeBytes), formatSize(choice.neededBytes), came];
          }),
          terminal,
        ),
      );
    }
    for (const { name, reason } of done.declined) terminal.out(hanging("  ", `not ${name}: ${reason}`, terminal));
    if (dryRun && done.chosen.length > 0)
      terminal.err("a dry run: with --yes they are rebuilt, concurrently, one after the other");
  }
  if (dryRun || built === done.chosen.length) return ExitCode.ok;
  return done.rebuilt.some(({ result }) => result.outcome?.kind === "failed") ? ExitCode.failed : ExitCode.refused;
};
