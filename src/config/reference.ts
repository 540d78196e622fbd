import { readFileSync } from "node:fs";
import { failure } from "../errors.ts";

/**
 * The value behind `env:NAME` or `file:/path`; anything else is the value itself.
 * @throws IndexPilotError `usage` where the variable or the file has none, without telling any
 */
export const resolveReference = (text: string, environment: Readonly<Record<string, string | undefined>>): string => {
  const [kind, name] = [text.slice(0, text.indexOf(":")), text.slice(text.indexOf(":") + 1)];
  if (kind === "env") {
    const value = environment[name];
    if (value !== undefined && value !== "") return value;
    throw failure("usage", {
      problem: `the settings name the environment variable ${name}, which is not set`,
      hint: `set ${name}`,
    });
  }
  if (kind !== "file") return text;
  try {
    return readFileSync(name, "utf8").trim();
  } catch (error) {
    const { code } = error as { code?: unknown };
    if (typeof code !== "string") throw error;
    throw failure("file_unusable", { file: name, cause: code }, error);
  }
};
