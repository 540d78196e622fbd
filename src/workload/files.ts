import { readdir, readFile, stat } from "node:fs/promises";
import path from "node:path";
import picomatch from "picomatch";
import { failure } from "../errors.ts";

export interface QueryFile {
  readonly path: string;
  readonly text: string;
}

const absent = new Set(["ENOENT", "ENOTDIR"]);

const exists = async (file: string): Promise<boolean> => {
  try {
    return (await stat(file)).isFile();
  } catch (error) {
    if (absent.has((error as { code?: string }).code ?? "")) return false;
    throw error;
  }
};

const expand = async (pattern: string): Promise<string[]> => {
  // A name is a name, even if it has brackets in it.
  if (await exists(pattern)) return [pattern];
  const { base, glob, isGlob } = picomatch.scan(pattern);
  if (!isGlob) return [];
  const matches = picomatch(path.normalize(pattern));
  try {
    const found = await readdir(base === "" ? "." : base, {
      recursive: glob.includes("/"),
      withFileTypes: true,
    });
    return found
      .filter((entry) => !entry.isDirectory())
      .map((entry) => path.join(entry.parentPath, entry.name))
      .filter((file) => matches(file))
      .sort();
  } catch (error) {
    if (absent.has((error as { code?: string }).code ?? "")) return [];
    throw error;
  }
};

/**
 * Reads the files that shell-like patterns name (`*`, `?`, `[…]`, `{a,b}`, `**`), each once, in the order of the patterns and then of the names.
 * `exclude` are patterns of the same kind; one without a slash is compared with the file's name only.
 * @throws IndexPilotError `workload_empty` when nothing is left, `query_file_not_utf8`
 */
export const readQueryFiles = async (
  patterns: readonly string[],
  exclude: readonly string[],
): Promise<readonly QueryFile[]> => {
  const expanded = await Promise.all(patterns.map(expand));
  const unmatched = patterns.filter((_, i) => expanded[i]?.length === 0);
  if (unmatched.length > 0) {
    throw failure("workload_empty", {
      detail: `no file matches ${unmatched.join(", ")}`,
      hint: "check the path; quote the pattern so that the shell leaves it alone: --queries 'dir/*.sql'",
    });
  }
  const excluded = exclude.map((pattern) => {
    const byName = !pattern.includes("/");
    const matches = picomatch(byName || pattern.startsWith("**") ? pattern : path.resolve(pattern), { dot: true });
    return (file: string): boolean => matches(byName ? path.basename(file) : path.resolve(file));
  });
  const files = [...new Set(expanded.flat().map((file) => path.normalize(file)))].filter(
    (file) => !excluded.some((matches) => matches(file)),
  );
  if (files.length === 0) {
    throw failure("workload_empty", { detail: "--exclude leaves no file", hint: "exclude fewer files" });
  }
  return Promise.all(files.map(async (file) => ({ path: file, text: textOf(file, await readFile(file)) })));
};

/** Without the byte order mark that may be at its beginning, which psql skips, too. */
const textOf = (file: string, bytes: Uint8Array): string => {
  try {
    return decoded(bytes);
  } catch (error) {
    throw failure("query_file_not_utf8", { file, line: firstBadLine(bytes) }, error);
  }
};

const decoded = (bytes: Uint8Array): string => new TextDecoder("utf-8", { fatal: true }).decode(bytes);

/** The first line, from 1, that is not UTF-8: no byte of another character is a line feed. */
const firstBadLine = (bytes: Uint8Array): number => {
  let line = 1;
  for (let from = 0; from < bytes.length; line += 1) {
    const end = bytes.indexOf(0x0a, from);
    const next = end === -1 ? bytes.length : end + 1;
    try {
      decoded(bytes.subarray(from, next));
    } catch {
      return line;
    }
    from = next;
  }
  return line;
};
