import { maskPassword } from "../../config/index.ts";
import { ExitCode } from "../../errors.ts";
import type { CommandContext } from "./context.ts";

export interface ConfigFlags {
  readonly explain?: boolean;
}

/** URLs may hold passwords, also inside a list. */
const withoutPasswords = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(value, (_, inner: unknown) => (typeof inner === "string" ? maskPassword(inner) : inner)));

/** Reaching this means that the settings are sound: whatever is wrong with them has ended the command before. */
export const config = (
  flags: ConfigFlags,
  { config: { effective }, json, terminal }: CommandContext,
): Promise<ExitCode> => {
  const shown = flags.explain === true ? effective : effective.filter(({ source }) => source !== "default");
  if (json) {
    const document = shown.map(({ path, value, shown: text, source, accepts, why }) => ({
      key: path,
      value: typeof value === "string" ? text : withoutPasswords(value),
      shown: text,
      source,
      accepts,
      why,
    }));
    terminal.out(JSON.stringify({ settings: document }, null, 2));
    return Promise.resolve(ExitCode.ok);
  }
  if (shown.length === 0) terminal.out("Every setting has its default; --explain shows them.");
  const width = Math.max(...shown.map(({ path }) => path.length));
  for (const { path, shown: text, source, accepts, why } of shown) {
    const from = source === "default" ? terminal.colors.dim(source) : terminal.colors.cyan(source);
    terminal.out(`${path.padEnd(width)}  ${terminal.colors.bold(text)}  (${from})`);
    if (flags.explain === true) terminal.out(terminal.colors.dim(`    ${accepts}. ${why}`));
  }
  return Promise.resolve(ExitCode.ok);
};
