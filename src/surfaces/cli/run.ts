import { resolveReference, type Settings } from "../../config/index.ts";
import type { Health, Log } from "../../daemon/index.ts";
import { ExitCode, failure } from "../../errors.ts";
import { systemClock, systemRandom } from "../../runtime/index.ts";
import { type CommandContext, type ConnectionFlags, pilotContext, targetNames } from "./context.ts";

export interface RunFlags extends ConnectionFlags {
  readonly healthPort?: number;
}

/** On a terminal for people, elsewhere one JSON object a line on standard output. */
const logOf = ({ terminal, json }: CommandContext, jsonLines: (write: (line: string) => void) => Log): Log => {
  if (json || !process.stdout.isTTY) {
    const lines = jsonLines((line) => process.stdout.write(line));
    return (entry) => {
      if (entry.level !== "debug") lines(entry);
    };
  }
  const { colors } = terminal;
  const paint = { debug: colors.dim, info: (text: string) => text, warn: colors.yellow, error: colors.red };
  return ({ level, text, target, duty }) => {
    const where = [target, duty].filter((one) => typeof one === "string").join(" ");
    terminal.out(
      `${colors.dim(systemClock.now().toISOString().slice(0, 19).replace("T", " "))} ${colors.cyan(where)} ${paint[level](text)}`,
    );
  };
};

const webhookOf = ({ webhookUrl, webhookSecret, webhookTimeoutMs }: Settings, environment: NodeJS.ProcessEnv) =>
  webhookUrl === null
    ? null
    : {
        url: resolveReference(webhookUrl, environment),
        secret: webhookSecret === null ? null : resolveReference(webhookSecret, environment),
        timeoutMs: webhookTimeoutMs,
      };

/** Steers the targets until a signal. */
export const run = async (flags: RunFlags, context: CommandContext): Promise<ExitCode> => {
  // What only the daemon needs is not loaded for a command that ends in a moment.
  const { jsonLines, openWebhook, runDaemon, serveHealth } = await import("../../daemon/index.ts");
  const { settings } = context.config;
  const log = logOf(context, (write) => jsonLines(write, systemClock));
  const webhook = webhookOf(settings, context.environment);
  const names = targetNames(flags, context);
  if (names.length > 1 && (flags.replicaUrl ?? []).length > 0) {
    throw failure("usage", {
      problem: "--replica-url names a replica of one target, and the settings name several",
      hint: "say which with --target NAME, a process for each",
    });
  }
  const targets = names.map((target) => {
    const pilot = pilotContext(target === null ? flags : { ...flags, target }, context);
    return { name: target ?? pilot.observe.database, pilot };
  });
  const drain = context.signal;
  const served: Health[] = [];
  const port = flags.healthPort ?? settings.healthPort;
  try {
    await runDaemon({
      targets,
      clock: systemClock,
      random: systemRandom,
      log,
      webhook: webhook === null ? null : openWebhook(webhook, systemClock),
      drain,
      stopGraceMs: settings.stopGraceMs,
      onStart: async (standings) => {
        if (port === null) return;
        const health = await serveHealth(port, standings, { clock: systemClock, drain });
        served.push(health);
        log({ level: "info", event: "health", text: `health is served on port ${String(health.port)}` });
      },
    });
  } finally {
    for (const health of served) await health.close();
  }
  log({ level: "info", event: "end", text: "ended; what was not finished is taken up by the next leader" });
  return ExitCode.ok;
};
