import { type ChildProcess, execFile, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { failure } from "../errors.ts";
import { systemClock } from "../runtime/index.ts";
import { type Binaries, findBinaries } from "./binaries.ts";

const run = promisify(execFile);

/** What initdb and a small server need; below it they fail half-way with less helpful words. */
const NEEDED_BYTES = 200_000_000;
const START_LIMIT_MS = 60_000;
const STOP_LIMIT_MS = 20_000;

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

export interface EmbeddedServer {
  readonly major: number;
  readonly port: number;
  readonly dataDirectory: string;
  /** Connection URL; by default superuser `postgres` on database `postgres`. */
  url(database?: string, user?: string): string;
  /** How many connections it serves at a time: one, where PostgreSQL runs without processes. */
  readonly connections: "many" | "one";
  /** Stops the server and removes its directory. Idempotent. */
  stop(): Promise<void>;
}

interface Owner {
  readonly uid: number;
  readonly gid: number;
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

const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const probe = createServer();
    probe.on("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const address = probe.address();
      probe.close(() => {
        if (typeof address === "object" && address !== null) resolve(address.port);
        else reject(new Error("no port"));
      });
    });
  });

const makeBase = (owner: Owner | null): string => {
  const parent = tmpdir();
  try {
    const base = mkdtempSync(join(parent, "indexpilot-"));
    const { bavail, bsize } = statfsSync(base);
    if (bavail * bsize < NEEDED_BYTES) {
      rmSync(base, { recursive: true });
      const free = Math.round((bavail * bsize) / 1e6);
      throw failure("embedded_directory", {
        directory: parent,
        cause: `only ${String(free)} MB are free, 200 are needed`,
      });
    }
    chmodSync(base, 0o700);
    if (owner !== null) chownSync(base, owner.uid, owner.gid);
    return base;
  } catch (error) {
    const code = (error as { code?: unknown }).code;
    if (typeof code === "string" && /^E[A-Z]+$/.test(code)) {
      throw failure("embedded_directory", { directory: parent, cause: code }, error);
    }
    throw error;
  }
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

const quoteSetting = (value: string): string => `'${value.replaceAll("'", "''")}'`;

const readyMarker = (data: string): boolean => {
  const file = join(data, "postmaster.pid");
  // Line 8 of postmaster.pid is the postmaster's own word about its state (miscadmin.h, PM_STATUS_READY).
  return existsSync(file) && readFileSync(file, "utf8").split("\n")[7]?.trim() === "ready";
};

const ended = (child: ChildProcess): boolean => child.exitCode !== null || child.signalCode !== null;

const waitUntilEnded = async (child: ChildProcess, limitMs: number): Promise<boolean> => {
  const deadline = systemClock.monotonicMs() + limitMs;
  while (!ended(child) && systemClock.monotonicMs() < deadline) await systemClock.sleep(10);
  return ended(child);
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
    const lines = Object.entries(settings).map(([name, value]) => `${name} = ${quoteSetting(value)}`);
    writeFileSync(join(data, "postgresql.auto.conf"), `${lines.join("\n")}\n`);
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

/** What `bin/embedded-supervisor.js` is told. */
interface Supervision {
  readonly program: string;
  readonly arguments: readonly string[];
  readonly base: string;
  readonly log: string;
  readonly owner: Owner | null;
}

// The same relative path from `src/embedded` and from `dist/embedded`.
const programFile = (name: string): string => fileURLToPath(new URL(`../../bin/${name}`, import.meta.url));

type Launched = Pick<EmbeddedServer, "major" | "port" | "dataDirectory" | "connections"> & {
  readonly password: string | null;
};

const launch = async (
  order: Supervision,
  isReady: () => boolean,
  { password, ...server }: Launched,
): Promise<EmbeddedServer> => {
  const supervisor = spawn(process.execPath, [programFile("embedded-supervisor.js"), JSON.stringify(order)], {
    // A session of its own: Ctrl-C on the terminal reaches us, and we stop the server when we are done with it.
    detached: true,
    stdio: ["pipe", "pipe", "ignore"],
    env: { ...process.env, NODE_OPTIONS: "" },
  });
  supervisor.unref();
  for (const pipe of [supervisor.stdin, supervisor.stdout]) {
    (pipe as unknown as { unref(): void }).unref();
    pipe.on("error", () => undefined);
  }
  let lastWords = "";
  supervisor.stdout.setEncoding("utf8").on("data", (text: string) => {
    lastWords += text;
  });

  const stop = async (): Promise<void> => {
    supervisor.stdin.end();
    if (await waitUntilEnded(supervisor, STOP_LIMIT_MS)) return;
    supervisor.kill("SIGKILL");
  };

  const deadline = systemClock.monotonicMs() + START_LIMIT_MS;
  while (!isReady()) {
    if (ended(supervisor) || systemClock.monotonicMs() > deadline) {
      await stop();
      throw failure("embedded_start", {
        cause: lastWords.trim() || "the server ended before it was ready, without a word",
      });
    }
    await systemClock.sleep(10);
  }
  const credentials = password === null ? "" : `:${password}`;
  return {
    ...server,
    url: (database = "postgres", user = "postgres") =>
      `postgres://${encodeURIComponent(user)}${credentials}@127.0.0.1:${String(server.port)}/${encodeURIComponent(database)}`,
    stop,
  };
};

/** PGlite's own; see `bin/portable-server.js`. */
const PORTABLE_MAJOR = 18;

/**
 * Starts PostgreSQL 18 compiled to WebAssembly, which runs wherever Node does: in about five seconds and 800 MB of memory, with one connection at a
 * time. It plans as PostgreSQL 18 does; locks, time-outs and speed are not what a server's are.
 * @throws IndexPilotError `embedded_directory`, `embedded_start`
 */
export const startPortable = async (settings: Readonly<Record<string, string>>): Promise<EmbeddedServer> => {
  const base = makeBase(null);
  try {
    const data = join(base, "data");
    const ready = join(base, "ready");
    const passwordFile = join(base, "password");
    const password = randomBytes(18).toString("base64url");
    writeFileSync(passwordFile, password, { mode: 0o600 });
    const port = await freePort();
    const lines = Object.entries(settings).map(([name, value]) => `${name} = ${quoteSetting(value)}`);
    const order = { data, port, ready, password: passwordFile, settings: lines };
    return await launch(
      {
        program: process.execPath,
        arguments: [programFile("portable-server.js"), JSON.stringify(order)],
        base,
        log: join(base, "log"),
        owner: null,
      },
      () => existsSync(ready),
      { major: PORTABLE_MAJOR, port, dataDirectory: data, connections: "one", password },
    );
  } catch (error) {
    rmSync(base, { recursive: true, force: true });
    throw error;
  }
};
