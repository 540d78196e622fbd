import { randomBytes } from "node:crypto";
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type EmbeddedServer, freePort, launch, makeBase, programFile, settingLines } from "./supervised.ts";

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
    const order = { data, port, ready, password: passwordFile, settings: settingLines(settings) };
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
