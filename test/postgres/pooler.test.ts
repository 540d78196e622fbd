import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { chownSync, existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { type EmbeddedServer, startEmbedded } from "../../src/embedded/index.ts";
import { openSession, resolveConnection } from "../../src/postgres/index.ts";

const program = "/usr/sbin/pgbouncer";

/** It refuses to run as root. */
const owner = (): { readonly uid?: number; readonly gid?: number } => {
  if (process.getuid?.() !== 0) return {};
  const id = (flag: string): number => Number(execFileSync("id", [flag, "postgres"]));
  return { uid: id("-u"), gid: id("-g") };
};

const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const probe = createServer().on("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const { port } = probe.address() as { port: number };
      probe.close(() => resolve(port));
    });
  });

describe.skipIf(!existsSync(program))("pgbouncer in between (Debian's, where it is installed)", () => {
  let server: EmbeddedServer;
  let directory: string;
  const poolers: ChildProcess[] = [];

  /** Starts one in this mode; answers its port. */
  const startPooler = async (mode: "transaction" | "session"): Promise<number> => {
    const port = await freePort();
    const file = join(directory, `${mode}.ini`);
    writeFileSync(
      file,
      `[databases]
postgres = host=127.0.0.1 port=${String(server.port)}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${String(port)}
unix_socket_dir =
auth_type = trust
auth_file = ${join(directory, "users")}
pool_mode = ${mode}
`,
    );
    poolers.push(spawn(program, [file], { stdio: "ignore", ...owner() }));
    await vi.waitUntil(() => listens(port), { timeout: 10_000 });
    return port;
  };
  const listens = async (port: number): Promise<boolean> =>
    (await codeOf(`postgres://postgres@127.0.0.1:${String(port)}/postgres`)) !== "connection_refused";
  const codeOf = async (url: string): Promise<unknown> => {
    try {
      await (await openSession(resolveConnection(url, {}), "observe")).close();
      return "opened";
    } catch (error) {
      return (error as { code?: unknown }).code;
    }
  };

  beforeAll(async () => {
    server = await startEmbedded({ major: 15 });
    directory = mkdtempSync(join(tmpdir(), "ip-pooler-"));
    writeFileSync(join(directory, "users"), '"postgres" ""\n');
    const { uid, gid } = owner();
    if (uid !== undefined && gid !== undefined) chownSync(directory, uid, gid);
  });
  afterAll(async () => {
    for (const pooler of poolers) pooler.kill();
    await server.stop();
    rmSync(directory, { recursive: true });
  });

  test.each(["transaction", "session"] as const)(
    "in %s mode is recognised and refused, with the remedy",
    async (mode) => {
      const port = await startPooler(mode);
      const url = `postgres://postgres@127.0.0.1:${String(port)}/postgres`;
      for (const purpose of ["observe", "build", "watch", "store"] as const) {
        await expect(openSession(resolveConnection(url, {}), purpose)).rejects.toMatchObject({
          code: "pooler_in_between",
          exitCode: 4,
          remedy: expect.stringContaining("connect to PostgreSQL itself"),
        });
      }
      // It takes no options of a session, and says so before there is a backend.
      expect(await codeOf(`${url}?options=${encodeURIComponent("-c jit=off")}`)).toBe("pooler_in_between");
      // The same server without it.
      expect(await codeOf(server.url())).toBe("opened");
    },
  );
});
