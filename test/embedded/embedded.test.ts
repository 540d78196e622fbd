import { spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { requireLinks, findBinaries } from "../../src/embedded/binaries.ts";
import { availableMajors, type EmbeddedServer, startEmbedded, startPortable } from "../../src/embedded/index.ts";
import { openSession, resolveConnection } from "../../src/postgres/index.ts";

const started: EmbeddedServer[] = [];
afterEach(async () => {
  await Promise.all(started.splice(0).map((server) => server.stop()));
});

const until = async (condition: () => boolean): Promise<boolean> => {
  for (let i = 0; i < 500 && !condition(); i += 1) await new Promise((resolve) => setTimeout(resolve, 20));
  return condition();
};

test("the servers that the tests are about are installed", () => {
  expect(availableMajors()).toEqual([14, 15, 16, 17, 18]);
});

describe.each([14, 15, 16, 17, 18])("embedded PostgreSQL %i", (major) => {
  test("is the major that was asked for, with pg_stat_statements loaded, and leaves no file behind", async () => {
    const server = await startEmbedded({ major });
    started.push(server);
    const session = await openSession(resolveConnection(server.url(), {}), "observe");
    const [row] = await session.query<{ major: number; preloaded: string }>(
      "select current_setting('server_version_num')::int / 10000 as major, current_setting('shared_preload_libraries') as preloaded",
    );
    expect(row).toEqual({ major, preloaded: "pg_stat_statements" });
    await session.close();
    await server.stop();
    expect(existsSync(server.dataDirectory)).toBe(false);
  });
});

test("a server for its owner only refuses a connection without the password", async () => {
  const server = await startEmbedded({ major: 18, access: "owner" });
  started.push(server);
  const session = await openSession(resolveConnection(server.url(), {}), "observe");
  await session.close();
  const without = new URL(server.url());
  without.password = "";
  await expect(openSession(resolveConnection(without.href, {}), "observe")).rejects.toMatchObject({
    code: "authentication_failed",
  });
});

test("as WebAssembly it asks for its password, knows the extensions that bring types, and leaves no file behind", async () => {
  const server = await startPortable({ work_mem: "5MB" });
  started.push(server);
  const stranger = new URL(server.url());
  stranger.password = "guess";
  await expect(openSession(resolveConnection(stranger.href, {}), "observe")).rejects.toMatchObject({
    code: "authentication_failed",
  });
  const session = await openSession(resolveConnection(server.url(), {}), "build");
  await session.script("create extension citext; create extension pg_trgm; create extension hstore");
  expect(await session.query("select 'A'::citext = 'a' as same, current_setting('work_mem') as setting")).toEqual([
    { same: true, setting: "5MB" },
  ]);
  await session.close();
  await server.stop();
  expect(existsSync(server.dataDirectory)).toBe(false);
});

test("kill -9 of the process that started a server ends the server and removes its directory", async () => {
  const program = `
    const { startEmbedded } = await import(${JSON.stringify(new URL("../../dist/embedded/index.js", import.meta.url).href)});
    const server = await startEmbedded({ major: 18 });
    process.stdout.write(JSON.stringify({ data: server.dataDirectory, port: server.port }));
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", program], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const told = await new Promise<string>((resolve) => child.stdout.once("data", (data) => resolve(String(data))));
  const { data } = JSON.parse(told) as { data: string };
  expect(existsSync(data)).toBe(true);
  child.kill("SIGKILL");
  expect(await until(() => !existsSync(data))).toBe(true);
});

test("a setting the server does not accept is reported in the server's own words", async () => {
  await expect(startEmbedded({ major: 18, settings: { work_mem: "plenty" } })).rejects.toMatchObject({
    code: "embedded_start",
    message: expect.stringContaining("work_mem"),
  });
});

test("a major that is not installed names the command that installs it", () => {
  expect(() => findBinaries(12)).toThrow(expect.objectContaining({ code: "embedded_missing" }));
});

test("library links that were never made are recognised, with the command that makes them", () => {
  const root = mkdtempSync(join(tmpdir(), "ip-links-"));
  mkdirSync(join(root, "native"));
  writeFileSync(
    join(root, "native", "pg-symlinks.json"),
    JSON.stringify([{ source: "native/a.1", target: "native/a" }]),
  );
  try {
    expect(() => requireLinks(root, "some-package")).toThrow(
      expect.objectContaining({ code: "embedded_links_missing", remedy: "run `npm rebuild some-package`" }),
    );
    writeFileSync(join(root, "native", "a"), "");
    expect(() => requireLinks(root, "some-package")).not.toThrow();
  } finally {
    rmSync(root, { recursive: true });
  }
});

test("a directory that cannot be used is named", async () => {
  const before = process.env["TMPDIR"];
  process.env["TMPDIR"] = "/nowhere/at/all";
  try {
    await expect(startEmbedded({ major: 18 })).rejects.toMatchObject({
      code: "embedded_directory",
      message: expect.stringContaining("/nowhere/at/all"),
    });
  } finally {
    if (before === undefined) delete process.env["TMPDIR"];
    else process.env["TMPDIR"] = before;
  }
});
