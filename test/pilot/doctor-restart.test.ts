import { execFileSync } from "node:child_process";
import { chownSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type EmbeddedServer, startEmbedded } from "../../src/embedded/index.ts";
import { type Check, diagnose } from "../../src/pilot/index.ts";
import { openSession, resolveConnection, type Session } from "../../src/postgres/index.ts";
import { startDebianServer } from "../whatif/debian-server.ts";

const checkOf = async (url: string, name: string, buildUrl?: string): Promise<Check | undefined> => {
  const target = resolveConnection(url, {});
  const { checks } = await diagnose(target, buildUrl === undefined ? target : resolveConnection(buildUrl, {}));
  return checks.find((check) => check.name === name);
};

const withServer = async (
  settings: Record<string, string>,
  work: (server: EmbeddedServer, admin: Session) => Promise<void>,
): Promise<void> => {
  const server = await startEmbedded({ major: 18, settings });
  const admin = await openSession(resolveConnection(server.url(), {}), "store");
  try {
    await work(server, admin);
  } finally {
    await admin.close();
    await server.stop();
  }
};

/** Carries out the first statement of a remedy that needs a restart, and says which setting the next start will have. */
const settingAfter = async (admin: Session, remedy: string, name: string): Promise<string | undefined> => {
  const [statement = ""] = remedy.split(";");
  await admin.query(statement);
  const [row] = await admin.query<{ setting: string }>(
    "select setting from pg_file_settings where name = $1 order by seqno desc limit 1",
    [name],
  );
  return row?.setting;
};

describe("the doctor's remedies that need a restart", () => {
  test("load the library beside those that are loaded", async () => {
    await withServer({ shared_preload_libraries: "auto_explain" }, async (server, admin) => {
      const check = await checkOf(server.url(), "pg_stat_statements");
      expect(check).toMatchObject({ level: "problem", remedy: expect.stringContaining("restart") });
      expect(check?.remedy).toContain("\ncreate extension pg_stat_statements;");
      const name = "shared_preload_libraries";
      const preloaded = await settingAfter(admin, check?.remedy ?? "", name);
      expect(preloaded).toBe("auto_explain, pg_stat_statements");
      await withServer({ [name]: preloaded ?? "" }, async (restarted, again) => {
        await again.query("create extension pg_stat_statements");
        expect(await checkOf(restarted.url(), "pg_stat_statements")).toMatchObject({ level: "ok" });
      });
    });
  });

  test("make room where statements were thrown out", async () => {
    const name = "pg_stat_statements.max";
    await withServer({ [name]: "100" }, async (server, admin) => {
      await admin.query("create extension pg_stat_statements");
      for (let n = 1; n <= 150; n += 1) await admin.query(`select ${Array.from({ length: n }, () => "1").join(", ")}`);
      const check = await checkOf(server.url(), "pg_stat_statements: room");
      expect(check).toMatchObject({ level: "warning", remedy: expect.stringContaining("restart") });
      expect(await settingAfter(admin, check?.remedy ?? "", name)).toBe("10000");
    });
  });

  test("give room for the locks of a table with many partitions", async () => {
    const name = "max_locks_per_transaction";
    await withServer({ [name]: "16" }, async (server, admin) => {
      await admin.query("create table wide (n int primary key) partition by range (n)");
      for (let n = 0; n < 10; n += 1) {
        await admin.query(
          `create table wide_${String(n)} partition of wide for values from (${String(n)}) to (${String(n + 1)})`,
        );
      }
      const check = await checkOf(server.url(), name);
      // The parent and ten partitions, each with its primary key.
      expect(check).toMatchObject({ level: "warning", found: expect.stringMatching(/all of wide takes 22 locks/) });
      expect(await settingAfter(admin, check?.remedy ?? "", name)).toBe("32");
      await admin.query("drop table wide_0, wide_1, wide_2, wide_3, wide_4");
      expect(await checkOf(server.url(), name)).toMatchObject({ level: "ok" });
    });
  });
});

const bin = "/usr/lib/postgresql/15/bin";

const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const probe = createServer().on("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const { port } = probe.address() as { port: number };
      probe.close(() => resolve(port));
    });
  });

describe.skipIf(!existsSync(`${bin}/pg_basebackup`))(
  "the doctor at a replica (Debian's PostgreSQL 15 makes it, where it is installed)",
  () => {
    test("says what it is good for, and the primary that it has replicas", async () => {
      const primary = await startDebianServer();
      const directory = mkdtempSync(join(tmpdir(), "ip-replica-"));
      const asRoot = process.getuid?.() === 0;
      const owner = asRoot
        ? { uid: Number(execFileSync("id", ["-u", "postgres"])), gid: Number(execFileSync("id", ["-g", "postgres"])) }
        : {};
      if (owner.uid !== undefined) chownSync(directory, owner.uid, owner.gid);
      const run = (program: string, ...args: string[]): void => {
        execFileSync(`${bin}/${program}`, args, { ...owner, cwd: "/", stdio: "ignore" });
      };
      const data = join(directory, "data");
      const port = await freePort();
      try {
        expect(await checkOf(primary.url("postgres"), "replicas")).toMatchObject({ level: "ok" });
        run(
          "pg_basebackup",
          "-d",
          primary.url("postgres"),
          "-D",
          data,
          "-R",
          "-X",
          "stream",
          "-c",
          "fast",
          "--no-sync",
        );
        run("pg_ctl", "-D", data, "-l", join(directory, "log"), "-o", `-p ${String(port)}`, "-w", "start");
        const url = `postgres://postgres@127.0.0.1:${String(port)}/postgres`;
        expect(await checkOf(url, "primary")).toMatchObject({
          level: "warning",
          remedy: "give the primary with --build-url",
        });
        expect(await checkOf(url, "primary", primary.url("postgres"))).toMatchObject({ level: "note", remedy: null });
        expect(await checkOf(primary.url("postgres"), "replicas")).toMatchObject({
          level: "note",
          found: expect.stringMatching(/^1 physical and 0 logical/),
        });
      } finally {
        if (existsSync(join(data, "postmaster.pid"))) run("pg_ctl", "-D", data, "-m", "immediate", "-w", "stop");
        primary.stop();
        rmSync(directory, { recursive: true });
      }
    });
  },
);
