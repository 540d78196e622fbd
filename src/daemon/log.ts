import type { Clock } from "../runtime/index.ts";

/** One thing that happened. Never SQL of users, never a secret. */
export interface LogEntry {
  readonly level: "debug" | "info" | "warn" | "error";
  /** What it is about, in one word or two. */
  readonly event: string;
  readonly text: string;
  readonly target?: string;
  readonly [more: string]: unknown;
}

export type Log = (entry: LogEntry) => void;

/** One JSON object a line, as collectors of logs want it. */
export const jsonLines =
  (write: (line: string) => void, clock: Clock): Log =>
  ({ level, event, text, ...more }) => {
    write(`${JSON.stringify({ time: clock.now().toISOString(), level, event, message: text, ...more })}\n`);
  };
