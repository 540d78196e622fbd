import { createColors } from "picocolors";
import { systemClock } from "../../runtime/index.ts";

/** Where a command writes. Results go to `out`; progress and remarks to `err`, so that `--json` stays one document. */
export interface Terminal {
  readonly colors: ReturnType<typeof createColors>;
  /** Columns to fill; unlimited where the output is not a terminal, so that nothing is lost to a pipe. */
  readonly width: number;
  out(text: string): void;
  err(text: string): void;
  /** Why what was asked for was not done: as `err`, and said where remarks are not wanted, too. */
  alarm(text: string): void;
  /** Shows one changing line on a terminal; nothing elsewhere. `null` removes it. */
  status(text: string | null): void;
}

export const openTerminal = (environment: Readonly<Record<string, string | undefined>>, quiet: boolean): Terminal => {
  const lively = process.stderr.isTTY && !quiet && environment["CI"] === undefined;
  const forced = environment["FORCE_COLOR"] !== undefined && environment["FORCE_COLOR"] !== "0";
  const colors = createColors((process.stdout.isTTY || forced) && environment["NO_COLOR"] === undefined);
  let shown = false;
  let last = 0;
  const clear = (): void => {
    if (shown) process.stderr.write("\r\u001b[2K");
    shown = false;
  };
  return {
    colors,
    width: process.stdout.isTTY ? Math.min(process.stdout.columns || 100, 160) : Number.POSITIVE_INFINITY,
    out: (text) => {
      clear();
      process.stdout.write(`${text}\n`);
    },
    err: (text) => {
      clear();
      if (!quiet) process.stderr.write(`${text}\n`);
    },
    alarm: (text) => {
      clear();
      process.stderr.write(`${text}\n`);
    },
    status: (text) => {
      if (!lively) return;
      if (text === null) {
        clear();
        return;
      }
      // Ten times a second is as lively as a person can read.
      const now = systemClock.monotonicMs();
      if (shown && now - last < 100) return;
      last = now;
      const room = (process.stderr.columns || 100) - 1;
      process.stderr.write(`\r\u001b[2K${text.length > room ? `${text.slice(0, room - 1)}…` : text}`);
      shown = true;
    },
  };
};

/** `████████░░░░  66 %` for a share between 0 and 1. */
export const bar = (share: number, width = 24): string => {
  const full = Math.round(Math.min(1, Math.max(0, share)) * width);
  return `${"█".repeat(full)}${"░".repeat(width - full)} ${String(Math.floor(share * 100)).padStart(3)} %`;
};

export interface ColumnLayout {
  readonly title: string;
  readonly align?: "left" | "right";
  /** Takes what the others leave; longer texts are cut with an ellipsis. At most one per table. */
  readonly flexible?: boolean;
}

const escapes = new RegExp(`${String.fromCharCode(27)}\\[[0-9;]*m`, "g");
const visibleLength = (text: string): number => text.replaceAll(escapes, "").length;

const cut = (text: string, width: number): string =>
  visibleLength(text) <= width ? text : `${text.slice(0, Math.max(0, width - 1))}…`;

/** A table without lines: a title row, then rows; numbers right-aligned where told so. */
export const table = (
  layout: readonly ColumnLayout[],
  rows: readonly (readonly string[])[],
  terminal: Terminal,
): string => {
  const widths = layout.map((column, at) =>
    Math.max(column.title.length, ...rows.map((row) => visibleLength(row[at] ?? ""))),
  );
  const flexible = layout.findIndex((column) => column.flexible === true);
  if (flexible !== -1) {
    const others = widths.reduce((sum, width, at) => (at === flexible ? sum : sum + width + 2), 2);
    widths[flexible] = Math.max(12, Math.min(widths[flexible] ?? 0, terminal.width - others));
  }
  const line = (cells: readonly string[]): string =>
    `  ${cells
      .map((cell, at) => {
        const width = widths[at] ?? 0;
        const text = layout[at]?.flexible === true ? cut(cell, width) : cell;
        const padding = " ".repeat(Math.max(0, width - visibleLength(text)));
        return layout[at]?.align === "right" ? padding + text : text + padding;
      })
      .join("  ")
      .trimEnd()}`;
  return [terminal.colors.dim(line(layout.map((column) => column.title))), ...rows.map(line)].join("\n");
};

/**
 * A text that begins after `first` and goes on below its own beginning, broken at blanks where the terminal ends. The first line's prefix may hold
 * colours; a word longer than a line stands alone.
 */
export const hanging = (first: string, text: string, { width }: Terminal): string => {
  const indent = visibleLength(first);
  const room = Math.max(20, width - indent);
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && visibleLength(line) + 1 + visibleLength(word) > room) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return first + [...lines, line].join(`\n${" ".repeat(indent)}`);
};
