import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type EmbeddedServer, startEmbedded } from "../../src/embedded/index.ts";
import { openSession, resolveConnection, type Session } from "../../src/postgres/index.ts";
import { indexpilot } from "./run.ts";

interface Shown {
  readonly indexes: readonly {
    readonly judgement: { readonly name: string; readonly standing: string; readonly remedy: string | null };
    readonly bloat: { readonly kind: string; readonly code?: string };
    readonly reindex: { readonly kind: string } | null;
    readonly history: readonly unknown[];
  }[];
  readonly missingForeignKeyIndexes: readonly { readonly constraint: string }[];
  readonly recorded: boolean;
}

describe.each([14, 18])("the health of PostgreSQL %i", (major) => {
  let server: EmbeddedServer;
  let admin: Session;
  const watch = (...more: readonly string[]): ReturnType<typeof indexpilot> =>
    indexpilot(["health", "--url", server.url("postgres", "watcher"), "--build-url", server.url(), ...more]);
  const shown = async (...more: readonly string[]): Promise<Shown> =>
    JSON.parse((await watch("--json", ...more)).out) as Shown;

  beforeAll(async () => {
    server = await startEmbedded({ major, settings: { autovacuum: "off" } });
    admin = await openSession(resolveConnection(server.url(), {}), "build");
    await admin.script(`
      create role watcher login in role pg_monitor, pg_read_all_data;
      create table parent (id int primary key);
      create table child (id int primary key, parent_id int references parent, a int, b int);
      insert into parent select n from generate_series(1, 100) n;
      insert into child select n, 1 + n % 100, n % 7, n from generate_series(1, 20000) n;
      create index child_a on child (a); create index child_a_b on child (a, b);
      analyze`);
    await expect(admin.script("create unique index concurrently half on child (a)")).rejects.toThrow(
      "could not create unique index",
    );
  });
  afterAll(async () => {
    await admin.close();
    await server.stop();
  });

  test("is told by an observing role without leaving anything behind", async () => {
    const ran = await watch();
    expect({ code: ran.code, err: ran.err }).toMatchObject({ code: 1, err: expect.stringContaining("--record") });
    for (const text of [
      "Redundant (1",
      "public.child_a:",
      "Invalid (1",
      "public.half:",
      "create index concurrently on public.child (parent_id)",
    ]) {
      expect(ran.out).toContain(text);
    }
    expect(await admin.query("select from pg_namespace where nspname = 'indexpilot'")).toEqual([]);
    expect((await watch("--markdown")).out).toContain("| `public.child_a` |");
    expect([(await watch("child_a")).code, (await watch("child_a_b")).code]).toEqual([1, 0]);
  });

  test("is remembered with --record, and forecast from what is remembered", async () => {
    const first = await shown("--record");
    expect(first.recorded).toBe(true);
    expect(Object.fromEntries(first.indexes.map(({ judgement }) => [judgement.name, judgement.standing]))).toEqual({
      child_pkey: "guarantee",
      parent_pkey: "guarantee",
      child_a: "redundant",
      child_a_b: "unused_not_proved",
      half: "invalid",
    });
    // A month of looks in which the index grew more bloated, but for the first two days as another file.
    await admin.script(
      `
      insert into indexpilot.index_sample
      select installation_id, index_oid, at - d * interval '1 day', file_node - (d > 38)::int, size_bytes, needed_bytes, entries, (40 - d) * 0.003,
             'statistics', scans, replica_scans, table_writes, updates, hot_updates
        from indexpilot.index_sample, generate_series(1, 40) d where index_oid = 'child_a_b'::regclass;
      delete from child where id % 2 = 0`,
    );
    await admin.script("vacuum child");
    await admin.script("analyze child");
    const judged = (await shown("child_a_b", "--record")).indexes[0];
    expect(judged?.judgement).toMatchObject({
      standing: "unused",
      remedy: expect.stringContaining("drop index concurrently"),
    });
    expect(judged?.history.length).toBeGreaterThan(30);
    expect(["now", "later"]).toContain(judged?.reindex?.kind);
    const kept = await admin.query<{ due: boolean }>(
      "select due_at > made_at as due from indexpilot.index_forecast where index_oid = 'child_a_b'::regclass",
    );
    expect(kept).toEqual([{ due: true }]);
    const chart = (await watch("public.child_a_b")).out;
    expect(chart).toContain("● seen, ○ forecast");
    // Looks of more than 35 days ago are one a day: those were, so they stay.
    expect(
      await admin.query(
        "select count(*)::int as n from indexpilot.index_sample where index_oid = 'child_a_b'::regclass",
      ),
    ).toEqual([{ n: 42 }]);
  });

  test("of an index that is not there is a mistake of the caller's", async () => {
    expect(await watch("nothing_so_called", "--json")).toMatchObject({ code: 2 });
  });
});
