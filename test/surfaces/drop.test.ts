import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type EmbeddedServer, startEmbedded } from "../../src/embedded/index.ts";
import { openSession, resolveConnection, type Session } from "../../src/postgres/index.ts";
import { indexpilot } from "./run.ts";

describe("indexpilot drop", { timeout: 120_000 }, () => {
  let server: EmbeddedServer;
  let session: Session;
  let url: readonly string[];

  beforeAll(async () => {
    server = await startEmbedded({ major: 18 });
    session = await openSession(resolveConnection(server.url(), {}), "build");
    await session.script(`
      create extension pg_stat_statements;
      create table visits (id int primary key, page int not null, note text);
      insert into visits select i, i % 5000, 'x' from generate_series(1, 50000) i;
      create index visits_page on visits (page);
      create index visits_page_note on visits (page, note);
      create index visits_note on visits (note);`);
    await session.query("analyze visits");
    for (let i = 0; i < 20; i += 1) {
      await session.query("select id from visits where page = $1", [i]);
      await session.query("select id from visits where note = $1 and id < 10", ["y"]);
    }
    url = ["--url", server.url()];
  });
  afterAll(async () => {
    await session.close();
    await server.stop();
  });

  const indexes = async (): Promise<readonly string[]> =>
    (
      await session.query<{ name: string }>(
        "select indexrelid::regclass::text as name from pg_index where indrelid = 'visits'::regclass order by 1",
      )
    ).map(({ name }) => name);

  test("lets go what another index covers, keeps what a statement needs, and says why", async () => {
    expect(await indexpilot(["drop", "visits_page", ...url, "--yes"])).toMatchObject({
      code: 0,
      out: expect.stringContaining("visits_page: dropped"),
    });
    expect(await indexes()).toEqual(["visits_note", "visits_page_note", "visits_pkey"]);
    const kept = await indexpilot(["drop", "visits_page_note", ...url, "--yes", "--json"]);
    expect(kept.code).toBe(5);
    expect(JSON.parse(kept.out)).toMatchObject({
      kind: "refused",
      code: "drop_harms_statement",
      reason: expect.stringContaining("select visits"),
    });
    expect(await indexpilot(["drop", "visits_pkey", ...url])).toMatchObject({
      code: 5,
      out: expect.stringContaining("stays (constraint)"),
    });
    expect(await indexes()).toEqual(["visits_note", "visits_page_note", "visits_pkey"]);
    const decided = await session.query("select code from indexpilot.decision where rule = 'pilot.drop'");
    expect(decided).toEqual([{ code: "drop_harms_statement" }]);
  });
});
