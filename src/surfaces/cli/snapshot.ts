import { ExitCode } from "../../errors.ts";
import { takeSnapshot } from "../../pilot/index.ts";
import { requireNewFile, writeSnapshotFile } from "../../snapshot/index.ts";
import { withLiveTarget, type WorkloadFlags } from "./advise.ts";
import { type CommandContext, pilotContext } from "./context.ts";

export interface SnapshotFlags extends WorkloadFlags {
  readonly out: string;
  readonly redact?: boolean;
  readonly force?: boolean;
}

export const snapshot = async (flags: SnapshotFlags, context: CommandContext): Promise<ExitCode> => {
  const { terminal } = context;
  const force = flags.force === true;
  requireNewFile(flags.out, force);
  const pilot = pilotContext(flags, context);
  const taken = await withLiveTarget(flags, pilot, (source) =>
    takeSnapshot({ ...pilot, source, redact: flags.redact === true, seed: flags.seed }),
  );
  await writeSnapshotFile(flags.out, taken, force);
  const counts = {
    tables: taken.catalog.tables.length,
    statements: taken.workload.statements.length,
    declined: taken.workload.declined.length,
    plans: taken.plans.size,
  };
  if (context.json) terminal.out(JSON.stringify({ file: flags.out, redacted: taken.redacted, ...counts }, null, 2));
  else {
    terminal.out(
      `${flags.out}: ${String(counts.tables)} tables, ${String(counts.statements)} statements, ${String(counts.plans)} of the target's own plans`,
    );
  }
  terminal.err(
    taken.redacted
      ? "Values were left out: without common values, histograms and the ends of columns the planner falls back to its defaults, and all advice from this " +
          "file has low confidence. Names stay, and with them constants in definitions (CHECK, partition bounds, predicates and expressions of indexes, generated columns, views, policies, functions, enum labels)."
      : "Warning: statistics contain values of your data, and so does this file. It is readable by you only; --redact leaves values out.",
  );
  return ExitCode.ok;
};
