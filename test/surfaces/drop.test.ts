import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
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

  test("keeps what a foreign key is looked up by: its parent's partitions lose rows, or its parent's keys change", async () => {
    await session.script(`
      create table ev (id bigint, day date, primary key (id, day)) partition by range (day);
      create table ev_1 partition of ev for values from ('2026-01-01') to ('2026-02-01');
      create table ev_2 partition of ev for values from ('2026-02-01') to ('2026-03-01');
      create table note (nid int primary key, ev_id bigint, ev_day date, foreign key (ev_id, ev_day) references ev on delete cascade);
      create index note_ev on note (ev_id, ev_day);
      insert into ev select i, '2026-01-15' from generate_series(1, 500) i;
      insert into note select i, i, '2026-01-15' from generate_series(1, 500) i;
      create table par (code text unique);
      create table chi (id int primary key, code text references par (code) on update cascade);
      create index chi_code on chi (code);
      insert into par select i::text from generate_series(1, 500) i;
      insert into chi select i, i::text from generate_series(1, 500) i;
      analyze`);
    await session.query("delete from ev where id <= 5");
    await session.query("update par set code = 'x' || code where code in ('1', '2')");
    for (let i = 0; i < 5; i += 1) {
      await session.query("select count(*) from note where nid = $1", [i]);
      await session.query("select count(*) from chi where id = $1", [i]);
    }
    await session.query("select pg_stat_force_next_flush()");
    for (const [index, why] of [
      ["note_ev", "5 were deleted"],
      ["chi_code", "2 were updated"],
    ] as const) {
      const kept = await indexpilot(["drop", index, ...url, "--yes", "--json"]);
      expect(kept.code).toBe(5);
      expect(JSON.parse(kept.out)).toMatchObject({ code: "serves_foreign_key", reason: expect.stringContaining(why) });
    }
  });

  test("keeps what is scanned by nobody knows whom, and counts the statements that it was planned for", async () => {
    await session.script(`
      create table logs (id int, at int);
      insert into logs select i, i from generate_series(1, 20000) i;
      create index logs_at on logs (at); create index logs_id on logs (id);
      analyze logs`);
    for (let i = 0; i < 7; i += 1) await session.query("select id from logs where at = $1", [i]);
    await session.query("select pg_stat_force_next_flush()");
    await session.query("select pg_stat_statements_reset()");
    await session.query("select id from visits where id = $1", [1]);
    await session.query("insert into logs values ($1, $2)", [1, 1]);
    const kept = await indexpilot(["drop", "logs_at", ...url, "--yes", "--json"]);
    expect(kept.code).toBe(5);
    expect(JSON.parse(kept.out)).toMatchObject({
      code: "used",
      reason: expect.stringMatching(/was scanned 7 times.*no statement of the workload asks for rows of public.logs/),
    });
    // The insert is the only statement on its table.
    const spare = await indexpilot(["drop", "logs_id", ...url, "--json"]);
    expect(JSON.parse(spare.out)).toMatchObject({ objection: null, plannedStatements: 1 });
    // Whoever asks for the table says whether it is needed.
    await session.query("select at from logs where id < $1", [0]);
    const asked = await indexpilot(["drop", "logs_at", ...url, "--json"]);
    expect(JSON.parse(asked.out)).toMatchObject({ objection: null, plannedStatements: 2 });
  });

  test("watches a trial on where it was broken off, and ends it when it is told to", async () => {
    await session.query("create index visits_spare on visits (page)");
    const folder = await mkdtemp(join(tmpdir(), "indexpilot-"));
    const config = join(folder, "settings.yaml");
    await writeFile(config, "observation:\n  block: 500ms\n  baseline: 1s\n");
    const tried = ["drop", "visits_spare", ...url, "--config", config, "--yes", "--trial", "1h"];
    const valid = () => session.query("select indisvalid from pg_index where indexrelid = 'visits_spare'::regclass");
    for (let turn = 0; turn < 2; turn += 1) {
      expect(await indexpilot(tried, {}, "is hidden from the planner")).toMatchObject({ code: 130 });
      expect(await valid()).toEqual([{ indisvalid: false }]);
    }
    expect(await indexpilot(["drop", "visits_spare", ...url, "--undo"])).toMatchObject({ code: 0 });
    expect(await valid()).toEqual([{ indisvalid: true }]);
    await rm(folder, { recursive: true });
  });
});
