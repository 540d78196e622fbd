import { execFileSync, spawn } from "node:child_process";
import { existsSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { findBinaries } from "../../src/embedded/binaries.ts";
import type { EmbeddedServer } from "../../src/embedded/index.ts";
import { freePort } from "../../src/embedded/supervised.ts";
import { openSession, resolveConnection, type Session } from "../../src/postgres/index.ts";
import { systemClock } from "../../src/runtime/index.ts";

interface Standby {
  readonly port: number;
  stop(): Promise<void>;
}

/** Copies the running server's files between the start and the stop of a backup, as pg_basebackup does; answers the label that belongs to the copy. */
const copyFiles = async (primary: Session, from: string, to: string): Promise<string> => {
  const isOld = primary.versionNum < 150_000;
  await primary.query(
    isOld ? "select pg_start_backup('standby', true, false)" : "select pg_backup_start('standby', true)",
  );
  execFileSync("cp", ["-a", from, to]);
  const [row] = await primary.query<{ labelfile: string }>(
    `select labelfile from ${isOld ? "pg_stop_backup(false, false)" : "pg_backup_stop(false)"}`,
  );
  return row?.labelfile ?? "";
};

/** A streaming replica, in the primary's own temporary directory; answers once it has caught up with what the primary has written so far. */
export const startStandby = async (server: EmbeddedServer): Promise<Standby> => {
  const base = dirname(server.dataDirectory);
  const data = join(base, "standby");
  const { uid, gid } = statSync(server.dataDirectory);
  const primary = await openSession(resolveConnection(server.url(), {}), "build");
  const label = await copyFiles(primary, server.dataDirectory, data);
  execFileSync("rm", ["-f", join(data, "postmaster.pid")]);
  writeFileSync(join(data, "backup_label"), label);
  writeFileSync(join(data, "standby.signal"), "");
  execFileSync("chown", [`${String(uid)}:${String(gid)}`, join(data, "backup_label"), join(data, "standby.signal")]);

  const copied = join(base, "postgresql", "bin", "postgres");
  const program = existsSync(copied) ? copied : join(findBinaries(server.major).directory, "bin", "postgres");
  const port = await freePort();
  const upstream = `host=127.0.0.1 port=${String(server.port)} user=postgres`;
  const child = spawn(program, ["-D", data, "-p", String(port), "-c", `primary_conninfo=${upstream}`], {
    stdio: "ignore",
    cwd: base,
    ...(process.getuid?.() === 0 ? { uid, gid } : {}),
  });
  const ended = new Promise<void>((resolve) => {
    child.on("exit", () => {
      resolve();
    });
  });

  // A commit, so that there is a record for the standby to end at: the backup has begun a new segment.
  await primary.query("select pg_current_xact_id()");
  const [written] = await primary.query<{ lsn: string }>("select pg_current_wal_insert_lsn()::text as lsn");
  await primary.close();
  const url = server.url().replace(`:${String(server.port)}/`, `:${String(port)}/`);
  for (const deadline = systemClock.monotonicMs() + 30_000; ; await systemClock.sleep(50)) {
    const caughtUp = await openSession(resolveConnection(url, {}), "observe").then(
      async (session) => {
        const [row] = await session.query<{ done: boolean }>("select pg_last_wal_replay_lsn() >= $1::pg_lsn as done", [
          written?.lsn,
        ]);
        await session.close();
        return row?.done === true;
      },
      () => false,
    );
    if (caughtUp) break;
    if (systemClock.monotonicMs() > deadline) throw new Error("the standby did not catch up");
  }
  return {
    port,
    stop: () => {
      child.kill("SIGINT");
      return ended;
    },
  };
};
