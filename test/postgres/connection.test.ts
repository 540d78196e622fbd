import { createServer, type Server } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type EmbeddedServer, startEmbedded } from "../../src/embedded/index.ts";
import { openSession, resolveConnection } from "../../src/postgres/index.ts";

describe("a connection URL", () => {
  test("is completed from libpq's environment, which it overrides", () => {
    const environment = { PGHOST: "db", PGPORT: "6543", PGUSER: "eve", PGDATABASE: "shop", PGPASSWORD: "s" };
    expect(resolveConnection(undefined, environment)).toMatchObject({
      host: "db",
      port: 6543,
      user: "eve",
      database: "shop",
    });
    expect(resolveConnection("postgres://bob@h/d", environment)).toMatchObject({
      host: "h",
      port: 6543,
      user: "bob",
      database: "d",
    });
  });

  test("names the same machine alike however it is written", () => {
    const hosts = ["localhost", "127.0.0.1", "[::1]"].map(
      (host) => resolveConnection(`postgres://u@${host}/d`, {}).host,
    );
    expect(new Set([...hosts, resolveConnection("postgres://u@/d?host=/run", {}).host])).toEqual(
      new Set(["localhost"]),
    );
  });

  test.each([
    ["http://h/d", "postgres://"],
    ["postgres://u@h:99999/d", "not a URL"],
    ["postgres://u@h/d?sslmode=maybe", "sslmode=maybe"],
    ["postgres://u@h/d?sslmode=verify-ca", "sslrootcert"],
    ["postgres://u@h/d?sslmode=verify-full&sslrootcert=/nowhere.pem", "/nowhere.pem"],
  ])("%s is refused and says why", (url, part) => {
    expect(() => resolveConnection(url, {})).toThrow(
      expect.objectContaining({ code: "bad_url", message: expect.stringContaining(part) }),
    );
  });

  test("that is wrong is not repeated, since it may hold a password", () => {
    for (const url of ["postgres://u:geheim@h:x/d", "postgres://u:geheim%zz@h/d?sslmode=no"]) {
      expect(() => resolveConnection(url, {})).toThrow(
        expect.objectContaining({ message: expect.not.stringContaining("geheim") }),
      );
    }
  });
});

describe("a session", () => {
  let server: EmbeddedServer;
  beforeAll(async () => {
    server = await startEmbedded({ major: 18 });
  });
  afterAll(() => server.stop());

  test("never waits long for a lock when it observes, and never gives up a build", async () => {
    const shown = async (purpose: "observe" | "build"): Promise<unknown> => {
      const session = await openSession(resolveConnection(server.url(), {}), purpose);
      try {
        return (
          await session.query(
            "select current_setting('lock_timeout') as lock, current_setting('statement_timeout') as statement, current_setting('transaction_timeout') as transaction",
          )
        )[0];
      } finally {
        await session.close();
      }
    };
    expect(await shown("observe")).toEqual({ lock: "200ms", statement: "1min", transaction: "0" });
    expect(await shown("build")).toEqual({ lock: "0", statement: "0", transaction: "0" });
  });

  test.each(["SQL, DMY", "German", "Postgres, MDY"])("reads dates where the role writes them as %s", async (style) => {
    const admin = await openSession(resolveConnection(server.url(), {}), "build");
    await admin.query(`alter role postgres set datestyle = '${style}'`);
    await admin.close();
    const session = await openSession(resolveConnection(server.url(), {}), "observe");
    const [row] = await session.query("select timestamptz '2026-02-01 10:00Z' as at, '01/02/2026'::date::text as day");
    const german = style !== "Postgres, MDY";
    expect(row).toEqual({ at: new Date("2026-02-01T10:00:00Z"), day: german ? "2026-02-01" : "2026-01-02" });
    await session.query("alter role postgres reset datestyle");
    await session.close();
  });

  test.each([
    ["a port nobody listens on", () => "postgres://postgres@127.0.0.1:1/postgres", "connection_refused"],
    ["a host that does not exist", () => "postgres://postgres@no-such-host.invalid/postgres", "connection_refused"],
    ["a database that does not exist", () => server.url("nope"), "database_missing"],
    ["a role that does not exist", () => server.url("postgres", "nobody-here"), "authentication_failed"],
    ["TLS demanded of a server without it", () => `${server.url()}?sslmode=require`, "connection_refused"],
  ])("to %s fails with its own error", async (_, url, code) => {
    await expect(openSession(resolveConnection(url(), {}), "observe")).rejects.toMatchObject({ code });
  });

  test("that the server ends says so", async () => {
    const session = await openSession(resolveConnection(server.url(), {}), "observe");
    const other = await openSession(resolveConnection(server.url(), {}), "watch");
    await other.query("select pg_terminate_backend($1)", [session.pid]);
    await expect(session.query("select 1")).rejects.toMatchObject({ code: "connection_lost" });
    await other.close();
    await session.close();
  });

  test("to something that is not PostgreSQL fails instead of hanging", async () => {
    const stranger: Server = createServer((socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"));
    await new Promise<void>((resolve) => {
      stranger.listen(0, "127.0.0.1", resolve);
    });
    const { port } = stranger.address() as { port: number };
    await expect(
      openSession(resolveConnection(`postgres://u@127.0.0.1:${String(port)}/d`, {}), "observe"),
    ).rejects.toMatchObject({
      exitCode: 3,
    });
    stranger.close();
  });
});
