import type { Emit } from "../../pilot/index.ts";
import { type ConnectionTarget, resolveConnection } from "../../postgres/index.ts";
import { bar, openTerminal, type Terminal } from "./terminal.ts";

/** The flags every command that talks to a database has. */
export interface ConnectionFlags {
  readonly url?: string;
  readonly buildUrl?: string;
}

export interface OutputFlags {
  readonly json?: boolean;
  readonly quiet?: boolean;
}

/** What a command works with. */
export interface CommandContext {
  readonly terminal: Terminal;
  readonly json: boolean;
  readonly signal: AbortSignal;
  readonly environment: NodeJS.ProcessEnv;
  readonly emit: Emit;
}

export const makeContext = (flags: OutputFlags, signal: AbortSignal): CommandContext => {
  const terminal = openTerminal(process.env, flags.quiet === true);
  return {
    terminal,
    json: flags.json === true,
    signal,
    environment: process.env,
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

/** The observe URL and, where given, the build URL; both completed from libpq's environment. */
export const targetsOf = (
  flags: ConnectionFlags,
  environment: NodeJS.ProcessEnv,
): { readonly observe: ConnectionTarget; readonly build: ConnectionTarget } => {
  const observe = resolveConnection(flags.url, environment);
  return { observe, build: flags.buildUrl === undefined ? observe : resolveConnection(flags.buildUrl, environment) };
};
