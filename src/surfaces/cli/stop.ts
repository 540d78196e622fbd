import { ExitCode } from "../../errors.ts";
import { resume as resumeTarget, stop as stopTarget } from "../../pilot/index.ts";
import { actorOf, type CommandContext, type ConnectionFlags, pilotContext } from "./context.ts";

export interface StopFlags extends ConnectionFlags {
  readonly reason?: string;
}

export const stop = async (flags: StopFlags, context: CommandContext): Promise<ExitCode> => {
  const { terminal } = context;
  const options = { actor: actorOf(context), reason: flags.reason ?? "" };
  const { stop: set, cancelled } = await stopTarget(pilotContext(flags, context), options);
  const names = cancelled.map((deployment) => deployment.indexName);
  if (context.json) terminal.out(JSON.stringify({ stop: set, cancelled: names }, null, 2));
  else {
    terminal.out(
      `Stopped by ${set.stoppedBy} at ${set.stoppedAt.toISOString()}. Nothing is changed until \`indexpilot resume\`.`,
    );
    for (const name of names) terminal.out(`  the build of ${name}, which outlived its process, was cancelled`);
  }
  return ExitCode.ok;
};

export const resume = async (flags: ConnectionFlags, context: CommandContext): Promise<ExitCode> => {
  const { terminal } = context;
  const cleared = await resumeTarget(pilotContext(flags, context), { actor: actorOf(context) });
  if (context.json) terminal.out(JSON.stringify({ resumed: cleared }, null, 2));
  else {
    terminal.out(
      cleared === null
        ? "Nothing was stopped."
        : `Resumed. ${cleared.stoppedBy} had stopped everything at ${cleared.stoppedAt.toISOString()}.`,
    );
  }
  return ExitCode.ok;
};
