import { ExitCode } from "../../errors.ts";
import { type Check, diagnose } from "../../pilot/index.ts";
import { type CommandContext, type ConnectionFlags, pilotContext } from "./context.ts";
import type { Terminal } from "./terminal.ts";

const mark = (check: Check, { colors }: Terminal): string => {
  switch (check.level) {
    case "ok":
      return colors.green("✓");
    case "note":
      return colors.cyan("i");
    case "warning":
      return colors.yellow("!");
    case "problem":
      return colors.red("✗");
  }
};

export const doctor = async (flags: ConnectionFlags, context: CommandContext): Promise<ExitCode> => {
  const { observe, build } = pilotContext(flags, context);
  const diagnosis = await diagnose(observe, build);
  const problems = diagnosis.checks.filter((check) => check.level === "problem").length;
  const { terminal } = context;
  if (context.json) {
    terminal.out(JSON.stringify({ ...diagnosis, problems }, null, 2));
  } else {
    const { server } = diagnosis;
    terminal.out(
      terminal.colors.bold(
        `PostgreSQL ${diagnosis.version} at ${server.host}:${String(server.port)}, database ${server.database}`,
      ),
    );
    for (const check of diagnosis.checks) {
      terminal.out(`${mark(check, terminal)} ${check.name}: ${check.found}`);
      if (check.remedy !== null)
        terminal.out(`    ${terminal.colors.dim("remedy:")} ${check.remedy.replaceAll("\n", "\n            ")}`);
    }
  }
  return problems > 0 ? ExitCode.findings : ExitCode.ok;
};
