import { execFileSync } from "node:child_process";
import { chownSync, copyFileSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { type EmbeddedServer, startEmbedded } from "../../src/embedded/index.ts";
import { openSession, resolveConnection } from "../../src/postgres/index.ts";

const program = "openssl";

const hasOpenssl = ((): boolean => {
  try {
    execFileSync(program, ["version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
})();

/** A certificate authority of one's own, and a certificate for `localhost` that it signed. */
const makeCertificates = (directory: string): void => {
  const openssl = (...args: string[]): void => {
    execFileSync(program, args, { cwd: directory, stdio: "ignore" });
  };
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  for (const name of ["ca", "other"]) {
    openssl(
      "req",
      "-x509",
      ...key,
      "-keyout",
      `${name}.key`,
      "-out",
      `${name}.pem`,
      "-days",
      "2",
      "-subj",
      `/CN=${name}`,
    );
  }
  openssl("req", ...key, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=localhost");
  writeFileSync(join(directory, "names"), "subjectAltName = DNS:localhost\n");
  const signing = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names"];
  openssl("x509", "-req", "-in", "server.csr", ...signing, "-out", "server.crt");
};

describe.skipIf(!hasOpenssl)("TLS with a private authority (openssl makes it, so it has to be there)", () => {
  let server: EmbeddedServer;
  let directory: string;

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), "ip-tls-"));
    makeCertificates(directory);
    server = await startEmbedded({ major: 18 });
    const { uid, gid } = statSync(server.dataDirectory);
    for (const file of ["server.crt", "server.key"]) {
      const there = join(server.dataDirectory, file);
      copyFileSync(join(directory, file), there);
      execFileSync("chmod", ["0600", there]);
      chownSync(there, uid, gid);
    }
    const admin = await openSession(resolveConnection(server.url(), {}), "watch");
    await admin.query("alter system set ssl = on");
    await admin.query("select pg_reload_conf()");
    await admin.close();
    await vi.waitUntil(() => encrypted("sslmode=prefer"), { timeout: 10_000 });
  });
  afterAll(async () => {
    await server.stop();
    rmSync(directory, { recursive: true });
  });

  /** Whether the server says that the session is encrypted. */
  const encrypted = async (
    query: string,
    environment: Record<string, string> = {},
    host = "localhost",
  ): Promise<boolean> => {
    const url = `${server.url().replace("127.0.0.1", host)}${query === "" ? "" : `?${query.replace("DIR", directory)}`}`;
    const session = await openSession(resolveConnection(url, environment), "observe");
    try {
      const [row] = await session.query<{ ssl: boolean }>("select ssl from pg_stat_ssl where pid = pg_backend_pid()");
      return row?.ssl === true;
    } finally {
      await session.close();
    }
  };

  test.each([
    ["verify-full with the authority's certificate", "sslmode=verify-full&sslrootcert=DIR/ca.pem", true],
    ["verify-ca with it", "sslmode=verify-ca&sslrootcert=DIR/ca.pem", true],
    ["require, which asks for no certificate", "sslmode=require", true],
    ["prefer, where the server can", "sslmode=prefer", true],
    ["nothing said, which is prefer", "", true],
    ["disable", "sslmode=disable", false],
  ])("%s", async (_, query, expected) => {
    expect(await encrypted(query)).toBe(expected);
  });

  test("comes from libpq's environment as well", async () => {
    const environment = { PGSSLMODE: "verify-full", PGSSLROOTCERT: join(directory, "ca.pem") };
    expect(await encrypted("", environment)).toBe(true);
    await expect(encrypted("", { ...environment, PGSSLROOTCERT: join(directory, "other.pem") })).rejects.toMatchObject({
      code: "tls_failed",
    });
  });

  test("verify-ca leaves the host's name alone, verify-full does not", async () => {
    expect(await encrypted("sslmode=verify-ca&sslrootcert=DIR/ca.pem", {}, "127.0.0.1")).toBe(true);
    await expect(encrypted("sslmode=verify-full&sslrootcert=DIR/ca.pem", {}, "127.0.0.1")).rejects.toMatchObject({
      code: "tls_failed",
      remedy: expect.stringContaining("host"),
    });
  });

  test.each([
    ["another authority's certificate", "sslmode=verify-full&sslrootcert=DIR/other.pem"],
    ["another authority's certificate, with verify-ca", "sslmode=verify-ca&sslrootcert=DIR/other.pem"],
    ["another authority's certificate, with require", "sslmode=require&sslrootcert=DIR/other.pem"],
    ["no authority but the system's", "sslmode=verify-full"],
  ])("%s fails, and the remedy names sslrootcert", async (_, query) => {
    await expect(encrypted(query)).rejects.toMatchObject({
      code: "tls_failed",
      exitCode: 3,
      remedy: expect.stringContaining("sslrootcert="),
    });
  });
});
