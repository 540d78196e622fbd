import { type ChildProcess, spawn } from "node:child_process";
import { chmodSync, chownSync, mkdtempSync, rmSync, statfsSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { failure } from "../errors.ts";
import { systemClock } from "../runtime/index.ts";

/** What initdb and a small server need; below it they fail half-way with less helpful words. */
const NEEDED_BYTES = 200_000_000;
const START_LIMIT_MS = 60_000;
const STOP_LIMIT_MS = 20_000;

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

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

export const freePort = (): Promise<number> =>
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

/** A directory of its own for a server, with room in it. @throws IndexPilotError `embedded_directory` */
export const makeBase = (owner: Owner | null): string => {
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

const ended = (child: ChildProcess): boolean => child.exitCode !== null || child.signalCode !== null;

const waitUntilEnded = async (child: ChildProcess, limitMs: number): Promise<boolean> => {
  const deadline = systemClock.monotonicMs() + limitMs;
  while (!ended(child) && systemClock.monotonicMs() < deadline) await systemClock.sleep(10);
  return ended(child);
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
export const programFile = (name: string): string => fileURLToPath(new URL(`../../bin/${name}`, import.meta.url));

type Launched = Pick<EmbeddedServer, "major" | "port" | "dataDirectory" | "connections"> & {
  readonly password: string | null;
};

/** Starts a program that ends, and whose directory goes, with this process. @throws IndexPilotError `embedded_start` */
export const launch = async (
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

/** Lines of a configuration file. */
export const settingLines = (settings: Readonly<Record<string, string>>): readonly string[] =>
  Object.entries(settings).map(([name, value]) => `${name} = '${value.replaceAll("'", "''")}'`);
