import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type EmbeddedServer, startEmbedded } from "../../src/embedded/index.ts";
import { openSession, resolveConnection, type Session } from "../../src/postgres/index.ts";
import { indexpilot } from "./run.ts";

describe("a person at the terminal", { timeout: 180_000 }, () => {
  let server: EmbeddedServer;
  let session: Session;
  let directory: string;
  let plan: string;

  beforeAll(async () => {
    server = await startEmbedded({ major: 18 });
    session = await openSession(resolveConnection(server.url(), {}), "build");
    await session.query("create extension pg_stat_statements");
    await session.query("create table orders (id int primary key, customer int not null)");
    await session.query("insert into orders select g, g % 5000 from generate_series(1, 100000) g");
    await session.query("vacuum analyze orders");
    directory = mkdtempSync(join(tmpdir(), "ip-safeguards-"));
    plan = join(directory, "plan.json");
    writeFileSync(join(directory, "q.sql"), "select * from orders where customer = 7;\n");
    const advised = await indexpilot([
      "advise",
      "--url",
      server.url(),
      "--queries",
      join(directory, "*.sql"),
      "--out",
      plan,
    ]);
    expect(advised).toMatchObject({ code: 0 });
  });

  afterAll(async () => {
    rmSync(directory, { recursive: true });
    await session.close();
    await server.stop();
  });

  const config = (text: string): string => {
    const file = join(directory, "config.yaml");
    writeFileSync(file, `url: ${server.url()}\nobservation: { baseline: 1s, block: 1s }\n${text}`);
    return file;
  };
  const apply = (file: string) => indexpilot(["apply", plan, "--yes", "--json", "--config", file]);
  const only = (out: string): unknown => (JSON.parse(out) as { builds: unknown[] }).builds[0];

  test("is refused with a reason by mode, window and stop, finds each in the history, and goes on afterwards", async () => {
    const observe = await apply(config("mode: observe\n"));
    expect(observe.code).toBe(5);
    expect(only(observe.out)).toMatchObject({ outcome: "refused", code: "mode", retryAt: null });

    const soon = new Date(Date.now() + 2 * 3_600_000).toISOString().slice(11, 16);
    const later = new Date(Date.now() + 3 * 3_600_000).toISOString().slice(11, 16);
    const shut = await apply(
      config(`safeguards:\n  maintenance_windows: [{ time_zone: UTC, from: "${soon}", to: "${later}" }]\n`),
    );
    expect(shut.code).toBe(5);
    expect(only(shut.out)).toMatchObject({
      outcome: "refused",
      code: "maintenance_window",
      retryAt: expect.stringContaining(`T${soon}`),
    });

    const plain = config("");
    expect(await indexpilot(["stop", "--reason", "Black Friday", "--config", plain])).toMatchObject({
      code: 0,
      out: expect.stringContaining("Stopped by"),
    });
    expect((await indexpilot(["status", "--config", plain])).out).toContain("Black Friday");
    const stopped = await apply(plain);
    expect(stopped.code).toBe(5);
    expect(only(stopped.out)).toMatchObject({ outcome: "refused", code: "stopped" });
    expect(await indexpilot(["resume", "--config", plain])).toMatchObject({
      code: 0,
      out: expect.stringContaining("Resumed"),
    });

    const built = await apply(plain);
    expect(only(built.out), built.err).toMatchObject({ outcome: "built" });
    expect(built.code).toBe(0);

    const { out } = await indexpilot(["history", "--config", plain]);
    for (const told of [
      /the mode of this table is observe/,
      /no maintenance window is open; ask again after/,
      /Black Friday/,
      /resumed by/,
    ]) {
      expect(out).toMatch(told);
    }
  });

  test("sees the history of indexes, and what others did to them", async () => {
    const plain = config("");
    await session.query("create index by_hand on orders (customer, id)");
    await session.query("alter index orders_customer_idx set (fillfactor = 80)");
    expect(await indexpilot(["verify", "--wait", "1s", "--block", "1s", "--config", plain])).toMatchObject({ code: 0 });
    const all = await indexpilot(["versions", "--config", plain]);
    expect(all.out).toMatch(/orders_pkey .* found .* others/);
    expect(all.out).toMatch(/by_hand .* created .* others/);
    const one = await indexpilot(["versions", "orders_customer_idx", "--config", plain]);
    expect(one.out).toMatch(
      / 1 .* created by indexpilot, [^\n]*serves[\s\S]* 2 .* changed by others[\s\S]*fillfactor='80'/,
    );
    expect(await indexpilot(["versions", "nothing_of_it", "--config", plain])).toMatchObject({ code: 2 });
  });
});
