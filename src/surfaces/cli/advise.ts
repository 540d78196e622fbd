import { ExitCode } from "../../errors.ts";
import {
  advise as adviseTarget,
  adviceDocument,
  withSession,
  workloadOfFiles,
  workloadOfTraffic,
} from "../../pilot/index.ts";
import { openSession } from "../../postgres/index.ts";
import { showAdvice } from "./advice-view.ts";
import { type CommandContext, type ConnectionFlags, pilotContext } from "./context.ts";

export interface AnalysisFlags extends ConnectionFlags {
  readonly budget: number;
  readonly whatIf: "shadow" | "hypopg";
  readonly maxColumns: number;
  readonly observe?: number;
  readonly seed: number;
}

export interface AdviseFlags extends AnalysisFlags {
  readonly queries: readonly string[];
  readonly exclude: readonly string[];
}

export const advise = async (flags: AdviseFlags, context: CommandContext): Promise<ExitCode> => {
  const pilot = pilotContext(flags, context);
  const advice = await withSession(openSession(pilot.observe, "observe"), (session) =>
    adviseTarget({
      ...pilot,
      session,
      budgetBytes: flags.budget,
      whatIf: flags.whatIf,
      maxColumns: flags.maxColumns,
      workloadOf:
        flags.queries.length > 0
          ? workloadOfFiles(session, flags)
          : workloadOfTraffic(pilot, session, { observeMs: flags.observe ?? null, seed: flags.seed }),
    }),
  );
  if (context.json) context.terminal.out(JSON.stringify(adviceDocument(advice), null, 2));
  else showAdvice(advice, context.terminal);
  return ExitCode.ok;
};
