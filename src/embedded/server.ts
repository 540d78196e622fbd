import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chownSync, cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { failure } from "../errors.ts";
import { type Binaries, findBinaries } from "./binaries.ts";
import { type EmbeddedServer, freePort, launch, makeBase, type Owner, settingLines } from "./supervised.ts";

const run = promisify(execFile);

export interface EmbeddedOptions {
  readonly major: number;
  /** Server settings on top of the defaults (loopback only, no Unix socket, pg_stat_statements preloaded, fsync off). */
  readonly settings?: Readonly<Record<string, string>>;
  /** Further arguments of `initdb`, e.g. `--no-data-checksums` on 18. */
  readonly initdbArguments?: readonly string[];
  /**
   * Who on this machine may connect: `anyone` without a password (throw-away data), or `owner` only, with a random password that is part of
   * {@link EmbeddedServer.url} (the data is as sensitive as the target's). Default `anyone`.
   */
  readonly access?: "anyone" | "owner";
}

/** PostgreSQL refuses to run as root: take an existing unprivileged user rather than make one. */
const serverOwner = async (): Promise<Owner | null> => {
  if (process.getuid?.() !== 0) return null;
  for (const user of ["postgres", "nobody"]) {
    try {
      const [uid, gid] = await Promise.all([run("id", ["-u", user]), run("id", ["-g", user])]);
      return { uid: Number(uid.stdout), gid: Number(gid.stdout) };
    } catch (error) {
      if (typeof (error as { code?: unknown }).code !== "number") throw error;
    }
  }
  throw failure("embedded_no_user", {});
};

/** The programs' directory as the server's user can read it: in place, or copied when a parent directory is closed to that user. */
const readableBinaries = async (binaries: Binaries, base: string, owner: Owner | null): Promise<string> => {
  if (owner === null) return binaries.directory;
  try {
    await run(join(binaries.directory, "bin", "postgres"), ["--version"], owner);
    return binaries.directory;
  } catch (error) {
    if ((error as { code?: unknown }).code !== "EACCES") throw error;
  }
  const copy = join(base, "postgresql");
  cpSync(binaries.directory, copy, { recursive: true, verbatimSymlinks: true });
  return copy;
};

const initialise = async (
  program: string,
  base: string,
  data: string,
  options: EmbeddedOptions,
  owner: Owner | null,
  password: string | null,
): Promise<void> => {
  const passwordFile = join(base, "password");
  const authentication = password === null ? ["--auth=trust"] : ["--auth=scram-sha-256", `--pwfile=${passwordFile}`];
  if (password !== null) {
    writeFileSync(passwordFile, password, { mode: 0o600 });
    if (owner !== null) chownSync(passwordFile, owner.uid, owner.gid);
  }
  const locale =
    options.initdbArguments?.some((argument) => argument.startsWith("--locale")) === true ? [] : ["--locale=C.UTF-8"];
  try {
    await run(
      program,
      [
        "-D",
        data,
        "-U",
        "postgres",
        "--encoding=UTF8",
        ...locale,
        ...authentication,
        "--no-sync",
        ...(options.initdbArguments ?? []),
      ],
      { cwd: base, ...owner },
    );
  } catch (error) {
    const { stderr } = error as { stderr?: unknown };
    throw failure(
      "embedded_start",
      { cause: typeof stderr === "string" && stderr !== "" ? stderr.trim() : String(error) },
      error,
    );
  } finally {
    rmSync(passwordFile, { force: true });
  }
};

const defaults: Readonly<Record<string, string>> = {
  listen_addresses: "127.0.0.1",
  unix_socket_directories: "",
  shared_preload_libraries: "pg_stat_statements",
  // The directory is removed at the end, so nothing needs to survive a crash of the machine.
  fsync: "off",
  full_page_writes: "off",
  logging_collector: "off",
  log_min_messages: "log",
  log_min_error_statement: "panic",
};

const readyMarker = (data: string): boolean => {
  const file = join(data, "postmaster.pid");
  // Line 8 of postmaster.pid is the postmaster's own word about its state (miscadmin.h, PM_STATUS_READY).
  return existsSync(file) && readFileSync(file, "utf8").split("\n")[7]?.trim() === "ready";
};

/**
 * Makes a cluster and starts it; about 0.6 s.
 * @throws IndexPilotError `embedded_missing`, `embedded_links_missing`, `embedded_directory`, `embedded_no_user`, `embedded_start`
 */
export const startEmbedded = async (options: EmbeddedOptions): Promise<EmbeddedServer> => {
  const binaries = findBinaries(options.major);
  const owner = await serverOwner();
  const base = makeBase(owner);
  try {
    const programs = join(await readableBinaries(binaries, base, owner), "bin");
    const data = join(base, "data");
    const password = options.access === "owner" ? randomBytes(18).toString("base64url") : null;
    mkdirSync(data, { mode: 0o700 });
    if (owner !== null) chownSync(data, owner.uid, owner.gid);
    await initialise(join(programs, "initdb"), base, data, options, owner, password);
    const port = await freePort();
    const settings = { ...defaults, ...options.settings, port: String(port) };
    writeFileSync(join(data, "postgresql.auto.conf"), `${settingLines(settings).join("\n")}\n`);
    return await launch(
      { program: join(programs, "postgres"), arguments: ["-D", data], base, log: join(base, "log"), owner },
      () => readyMarker(data),
      { major: options.major, port, dataDirectory: data, connections: "many", password },
    );
  } catch (error) {
    rmSync(base, { recursive: true, force: true });
    throw error;
  }
};
