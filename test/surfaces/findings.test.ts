import { writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type EmbeddedServer, startEmbedded } from "../../src/embedded/index.ts";
import { openSession, resolveConnection, type Session } from "../../src/postgres/index.ts";
import { indexpilot, type Ran } from "./run.ts";

interface Kept {
  readonly analyzed: readonly { readonly table: string; readonly done: boolean }[];
  readonly carriedOut: readonly { readonly index: string; readonly outcome: string }[];
  readonly proposals: readonly {
    readonly act: string;
    readonly finding: string;
    readonly name: string;
    readonly reason: string;
    readonly state: string | null;
  }[];
  readonly notProposed: readonly { readonly name: string; readonly code: string; readonly reason: string }[];
}

describe("what a look at all indexes found", { timeout: 300_000 }, () => {
  let server: EmbeddedServer;
  let session: Session;
  let autopilot: string;
  let hasty: string;
  const run = (command: string, ...more: readonly string[]): Promise<Ran> =>
    indexpilot([command, ...more, "--url", server.url()]);
  const maintain = async (...more: readonly string[]): Promise<Kept> => {
    const ran = await run("maintain", "--json", ...more);
    expect(ran).toMatchObject({ code: 0 });
    return JSON.parse(ran.out) as Kept;
  };
  const indexes = async (): Promise<readonly string[]> =>
    (
      await session.query<{ name: string }>(
        "select c.relname as name from pg_class c where relkind = 'i' and relnamespace = 'public'::regnamespace order by 1",
      )
    ).map(({ name }) => name);
  const states = async () =>
    Object.fromEntries(
      (
        await session.query<{ name: string; state: string }>(
          "select index_name as name, state from indexpilot.deployment order by created_at",
        )
      ).map(({ name, state }) => [name, state]),
    );

  beforeAll(async () => {
    server = await startEmbedded({ major: 18, settings: { autovacuum: "off" } });
    autopilot = join(dirname(server.dataDirectory), "autopilot.yaml");
    hasty = join(dirname(server.dataDirectory), "hasty.yaml");
    writeFileSync(autopilot, "mode: autopilot\n");
    writeFileSync(hasty, "observation: { baseline: 2s, block: 500ms }\n");
    const living = await openSession(resolveConnection(server.url(), {}), "build");
    await living.script(`
      create extension pg_stat_statements;
      create table visits (id int primary key, page int not null, note text, late text, ref int);
      insert into visits select i, i % 5000, 'x' || i, 'y', i % 40000 from generate_series(1, 60000) i;
      create index visits_page on visits (page); create index visits_page_note on visits (page, note);
      create index visits_id_late on visits (late); create index visits_note on visits (note);
      create table parent (id int primary key);
      insert into parent select i from generate_series(1, 3000) i;
      create table child (id int primary key, parent_id int references parent on delete cascade, other_id int references parent, v int);
      insert into child select i, 1 + i % 2900, 1 + i % 2900, i from generate_series(1, 60000) i;
      analyze`);
    for (let i = 0; i < 20; i += 1) {
      await living.query("select id from visits where page = $1", [i]);
      await living.query("select id from visits where ref = $1", [i]);
      await living.query("delete from parent where id = $1", [2_950 + i]);
      await living.query("select v from child where id = $1", [i]);
    }
    // Since then nobody has asked again, and they would be used.
    await living.script(
      "create index visits_ref on visits (ref); create index child_other on child (other_id); create table grown (id int)",
    );
    await living.script(
      "insert into grown select i from generate_series(1, 5000) i; delete from visits where id > 59990",
    );
    await living.close();
    session = await openSession(resolveConnection(server.url(), {}), "build");
    await expect(session.script("create unique index concurrently visits_half on visits (late)")).rejects.toThrow();
    await session.script("analyze visits; analyze child; analyze parent");
    expect((await run("health", "--record", "--json")).code).toBe(1);
    await session.script(`
      insert into indexpilot.index_sample
      select installation_id, index_oid, at - d * interval '1 day', file_node, size_bytes, needed_bytes, entries, bloat, method,
             case when index_oid in ('visits_page_note'::regclass, 'child_pkey'::regclass) then -d else scans end, replica_scans, table_writes, updates, hot_updates
        from indexpilot.index_sample, generate_series(1, 40, 3) d`);
  });
  afterAll(async () => {
    await session.close();
    await server.stop();
  });

  test("is told by a dry run with what the planner says to each, and nothing is done", async () => {
    const before = await indexes();
    const { proposals, notProposed, analyzed } = await maintain();
    expect(proposals.map(({ act, finding, name, state }) => [act, finding, name, state])).toEqual(
      expect.arrayContaining([
        ["drop", "redundant", "public.visits_page", null],
        ["drop", "unused", "public.visits_note", null],
        ["drop", "unused", "public.visits_id_late", null],
        ["drop", "invalid", "public.visits_half", null],
        ["create", "foreign_key", "child (parent_id)", null],
      ]),
    );
    expect(proposals).toHaveLength(5);
    expect(Object.fromEntries(proposals.map(({ name, reason }) => [name, reason]))).toMatchObject({
      "public.visits_page": expect.stringMatching(/visits_page_note begins.*none of \d+ statements is dearer/),
      "child (parent_id)": expect.stringMatching(
        /foreign key child_parent_id_fkey: each row deleted from public.parent/,
      ),
    });
    expect(Object.fromEntries(notProposed.map(({ name, code }) => [name, code]))).toEqual({
      "public.visits_ref": "drop_harms_statement",
      "public.child_other": "serves_foreign_key",
    });
    expect(notProposed.find(({ name }) => name === "public.visits_ref")?.reason).toContain("select visits");
    expect(analyzed).toEqual([{ table: "public.grown", done: false }]);
    expect(await states()).toEqual({});
    expect(await indexes()).toEqual(before);
  });

  test("waits for a person, in mode autopilot too, where only what is to be created does not", async () => {
    const before = await indexes();
    const { analyzed } = await maintain("--yes", "--config", autopilot);
    expect(analyzed).toMatchObject([{ table: "public.grown", done: true }]);
    expect(
      await session.query("select from pg_stat_all_tables where relname = 'grown' and last_analyze is not null"),
    ).toHaveLength(1);
    expect(await states()).toEqual({
      visits_page: "proposed",
      visits_note: "proposed",
      visits_id_late: "proposed",
      visits_half: "proposed",
      child_parent_id_idx: "approved",
    });
    expect(await indexes()).toEqual(before);
    const refusals = await session.query<{ code: string }>(
      "select code from indexpilot.decision where rule = 'pilot.findings' order by code",
    );
    expect(refusals.map(({ code }) => code)).toEqual(["drop_harms_statement", "serves_foreign_key"]);
    const waiting = await run("approve");
    expect(waiting.out).toContain("drop CREATE INDEX visits_page ON public.visits");
    expect((await run("status")).out).toMatch(/visits_page +visits +drop, proposed/);
  });

  test("is carried out when somebody approved it, after everything was asked again; what was declined is not proposed again", async () => {
    expect(await run("approve", "visits_page", "visits_half", "visits_note")).toMatchObject({ code: 0 });
    expect(await run("decline", "visits_id_late", "--reason", "the auditors' own")).toMatchObject({ code: 0 });
    // What is asked for since then needs it.
    for (let i = 0; i < 5; i += 1) await session.query("select id from visits where note = $1", [`x${String(i)}`]);
    // First what is to be built, beside nothing else; then the drops.
    const first = await maintain("--yes", "--config", hasty);
    expect(first.carriedOut).toEqual([{ index: "child_parent_id_idx", outcome: "built" }]);
    const second = await maintain("--yes");
    expect(Object.fromEntries(second.carriedOut.map(({ index, outcome }) => [index, outcome]))).toEqual({
      visits_page: "dropped",
      visits_half: "dropped",
      visits_note: "declined",
    });
    expect(await indexes()).toEqual([
      "child_other",
      "child_parent_id_idx",
      "child_pkey",
      "parent_pkey",
      "visits_id_late",
      "visits_note",
      "visits_page_note",
      "visits_pkey",
      "visits_ref",
    ]);
    expect(second.notProposed).toContainEqual(
      expect.objectContaining({ name: "public.visits_id_late", code: "cool_down" }),
    );
    expect(second.proposals).toEqual([]);
    const [declined] = await session.query<{ detail: { code: string } }>(
      "select detail from indexpilot.deployment_event e join indexpilot.deployment d on d.id = e.deployment_id where d.index_name = 'visits_note' and event = 'decline'",
    );
    expect(declined?.detail.code).toBe("drop_harms_statement");
    expect((await states())["child_parent_id_idx"]).toBe("verifying");
  });
});
