import { execFileSync } from "node:child_process";
import { chownSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "../../src/embedded/supervised.ts";

const bin = "/usr/lib/postgresql/15/bin";

/** Whether Debian's PostgreSQL 15 and its HypoPG are on this machine. */
export const hasHypopg = existsSync(`${bin}/initdb`) && existsSync("/usr/share/postgresql/15/extension/hypopg.control");

/** Debian's PostgreSQL 15 in a temporary directory; as root it runs as OS user `postgres`. */
export const startDebianServer = async (): Promise<{
  readonly dataDirectory: string;
  url: (database: string) => string;
  stop: () => void;
}> => {
  const directory = mkdtempSync(join(tmpdir(), "indexpilot-debian-"));
  const isRoot = process.getuid?.() === 0;
  if (isRoot) chownSync(directory, Number(execFileSync("id", ["-u", "postgres"])), -1);
  const run = (program: string, ...rest: string[]): void => {
    const [command, args] = isRoot
      ? (["runuser", ["-u", "postgres", "--", `${bin}/${program}`, ...rest]] as const)
      : ([`${bin}/${program}`, rest] as const);
    execFileSync(command, args, { stdio: "ignore", cwd: "/" });
  };
  const data = join(directory, "data");
  const port = await freePort();
  run("initdb", "-D", data, "-U", "postgres", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C");
  const options = `-p ${String(port)} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off -c autovacuum=off`;
  run("pg_ctl", "-D", data, "-l", join(directory, "log"), "-o", options, "-w", "start");
  return {
    dataDirectory: data,
    url: (database) => `postgres://postgres@127.0.0.1:${String(port)}/${database}`,
    stop: () => {
      run("pg_ctl", "-D", data, "-m", "immediate", "-w", "stop");
      rmSync(directory, { recursive: true, force: true });
    },
  };
};
