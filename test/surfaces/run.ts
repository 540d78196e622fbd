import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

const program = fileURLToPath(new URL("../../bin/indexpilot.js", import.meta.url));

export interface Ran {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** Runs the built command as a person would, without the caller's PG… variables. `interruptAt`: presses Ctrl-C when it has said that. */
export const indexpilot = (
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
  interruptAt?: string,
): Promise<Ran> =>
  new Promise((resolve, reject) => {
    const clean = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("PG")));
    const child = spawn(process.execPath, [program, ...args], { env: { ...clean, NO_COLOR: "1", ...environment } });
    let out = "";
    let err = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => (out += text));
    let isInterrupted = false;
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      err += text;
      if (interruptAt === undefined || isInterrupted || !err.includes(interruptAt)) return;
      isInterrupted = true;
      child.kill("SIGINT");
    });
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, out, err }));
  });
