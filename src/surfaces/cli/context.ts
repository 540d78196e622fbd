import { userInfo } from "node:os";
import type { NamedTarget, Resolved, Settings } from "../../config/index.ts";
import { failure } from "../../errors.ts";
import type { Emit, PilotContext } from "../../pilot/index.ts";
import { resolveConnection } from "../../postgres/index.ts";
import { systemClock } from "../../runtime/index.ts";
import { bar, openTerminal, type Terminal } from "./terminal.ts";

/** The flags every command that talks to a database has. */
export interface ConnectionFlags {
  readonly url?: string;
  readonly buildUrl?: string;
  readonly replicaUrl?: readonly string[];
  readonly target?: string;
}

export interface OutputFlags {
  readonly config?: string;
  readonly json?: boolean;
  readonly quiet?: boolean;
}

/** What a command works with. */
export interface CommandContext {
  readonly terminal: Terminal;
  readonly json: boolean;
  readonly signal: AbortSignal;
  readonly environment: NodeJS.ProcessEnv;
  /** Flags, environment, file and defaults, put together. */
  readonly config: Resolved;
  readonly emit: Emit;
}

export const makeContext = (flags: OutputFlags, signal: AbortSignal, config: Resolved): CommandContext => {
  const terminal = openTerminal(process.env, flags.quiet === true);
  return {
    terminal,
    json: flags.json === true,
    signal,
    environment: process.env,
    config,
    emit: (event) => {
      switch (event.kind) {
        case "step":
          terminal.err(`${terminal.colors.cyan("●")} ${event.text}`);
          break;
        case "note":
          terminal.err(`  ${terminal.colors.dim(event.text)}`);
          break;
        case "progress":
          terminal.status(`  ${event.share === null ? "" : `${bar(event.share)}  `}${event.text}`);
          break;
      }
    },
  };
};

/** The targets of the file that are meant: the one that was named, else all; null: the one of the URLs. */
export const targetNames = (flags: ConnectionFlags, { config }: CommandContext): readonly (string | null)[] => {
  const { targets, url } = config.settings;
  if (flags.target !== undefined) return [flags.target];
  return flags.url !== undefined || url !== null || targets.length === 0 ? [null] : targets.map(({ name }) => name);
};

/** @throws IndexPilotError `usage` where there is none of this name, or several and none was named */
const namedTarget = (flags: ConnectionFlags, context: CommandContext): NamedTarget | null => {
  const { targets } = context.config.settings;
  const [name, other] = targetNames(flags, context);
  if (name === null || name === undefined) return null;
  const known = targets.map((one) => one.name).join(", ");
  if (other !== undefined) {
    throw failure("usage", {
      problem: `the settings name several targets: ${known}`,
      hint: "say which with --target NAME",
    });
  }
  const found = targets.find((one) => one.name === name);
  if (found !== undefined) return found;
  throw failure("usage", {
    problem: `the settings name no target ${name}`,
    hint: known === "" ? "list it under targets" : `there are ${known}`,
  });
};

/** Both roles' targets, completed from libpq's environment, and what the pilot needs besides. */
export const pilotContext = (flags: ConnectionFlags, context: CommandContext): PilotContext => {
  const named = namedTarget(flags, context);
  const settings: Settings =
    named === null
      ? context.config.settings
      : {
          ...context.config.settings,
          url: named.url,
          buildUrl: named.build_url ?? null,
          mode: named.mode ?? context.config.settings.mode,
          modeOverrides: named.modes ?? context.config.settings.modeOverrides,
        };
  const buildUrl = flags.buildUrl ?? settings.buildUrl;
  const observe = resolveConnection(flags.url ?? settings.url ?? undefined, context.environment);
  return {
    observe,
    build: buildUrl === null ? observe : resolveConnection(buildUrl, context.environment),
    replicas: (flags.replicaUrl ?? []).map((url) => resolveConnection(url, context.environment)),
    settings,
    clock: systemClock,
    signal: context.signal,
    emit: context.emit,
  };
};

/** Who does this, for the history: the person at the terminal, as far as the system tells. */
export const actorOf = ({ environment }: CommandContext): string => environment["SUDO_USER"] ?? userInfo().username;
