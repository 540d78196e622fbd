import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type EmbeddedServer, startEmbedded } from "../../src/embedded/index.ts";
import { openSession, resolveConnection, type Session } from "../../src/postgres/index.ts";
import { indexpilot } from "./run.ts";

describe("an index is rebuilt and rolled back from the command line", { timeout: 120_000 }, () => {
  let server: EmbeddedServer;
  let session: Session;

  beforeAll(async () => {
    server = await startEmbedded({ major: 18 });
    session = await openSession(resolveConnection(server.url(), {}), "build");
    await session.script(`create extension pg_stat_statements; create table t (a int, b int); insert into t select i, i from generate_series(1, 20000) i;
      create index x on t (a); analyze t`);
  });
  afterAll(async () => {
    await session.close();
    await server.stop();
  });

  const run = (...args: readonly string[]) => indexpilot([...args, "--url", server.url()]);
  const definition = async (): Promise<string | undefined> =>
    (await session.query<{ d: string }>("select pg_get_indexdef('x'::regclass) as d"))[0]?.d;

  test("after a dry run with time and size, and a word on what is not ours", async () => {
    const dry = await run("reindex", "x");
    expect(dry.code).toBe(0);
    expect(dry.out).toMatch(/Would rebuild, concurrently: CREATE INDEX x .*\n {2}\d.* (kB|MB), in about \d/);
    expect(dry.err).toContain("--yes does it");
    const rebuilt = await run("reindex", "x", "--yes", "--json");
    expect(JSON.parse(rebuilt.out)).toMatchObject({ index: "public.x", outcome: "built", impossible: null });

    await session.script("drop index x; create index x on t (b)");
    // A command that acts looks first.
    expect((await run("reindex", "x", "--yes")).out).toMatch(/^x: built in .*\n {2}it had .* before/);
    const back = await run("rollback", "x", "--to", "1");
    expect(back).toMatchObject({ code: 5, err: expect.stringContaining("--not-ours") });
    const planned = await run("rollback", "x", "--to", "1", "--not-ours");
    expect(planned.code).toBe(0);
    expect(planned.out).toMatch(
      /Would build, concurrently: .*\(a\)\n {2}version 1, about .*, in about .*\nand drop, .*\(b\)/,
    );
    expect(await definition()).toContain("(b)");
    expect(await run("rollback", "x", "--to", "1", "--not-ours", "--yes", "--reason", "it was better")).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^x: built in/),
    });
    expect(await definition()).toContain("(a)");
    expect((await run("versions", "x")).out).toContain("it was better");
    expect(await run("rollback", "x", "--to", "7")).toMatchObject({
      code: 2,
      err: expect.stringContaining("1, 2, 3"),
    });
    expect(await run("rollback", "x", "--to", "1", "--blocking")).toMatchObject({ code: 2 });
  });
});
