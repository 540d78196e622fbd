import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type EmbeddedServer, startEmbedded } from "../../src/embedded/index.ts";
import { openSession, resolveConnection, type Session } from "../../src/postgres/index.ts";
import { indexpilot } from "./run.ts";

describe("a partitioned table", { timeout: 120_000 }, () => {
  let server: EmbeddedServer;
  let session: Session;
  let directory: string;

  beforeAll(async () => {
    server = await startEmbedded({ major: 18 });
    session = await openSession(resolveConnection(server.url(), {}), "build");
    await session.script(`
      create extension pg_stat_statements;
      create table visits (id bigint, day int not null, page int not null) partition by range (day);
      create table visits_1 partition of visits for values from (0) to (10);
      create table visits_2 partition of visits for values from (10) to (20);
      insert into visits select i, i % 20, i % 5000 from generate_series(1, 40000) i;`);
    await session.query("analyze visits");
    directory = mkdtempSync(join(tmpdir(), "ip-partitioned-"));
    writeFileSync(join(directory, "page.sql"), "select count(*) from visits where page = 17\n");
  });

  afterAll(async () => {
    await session.close();
    await server.stop();
    rmSync(directory, { recursive: true });
  });

  const tree = async (): Promise<readonly string[]> =>
    (
      await session.query<{ shown: string }>(
        `select i.indexrelid::regclass::text || case when c.relispartition then ' attached' else '' end as shown
           from pg_index i join pg_class c on c.oid = i.indexrelid
          where i.indrelid::regclass::text like 'visits%' and i.indisvalid order by 1`,
      )
    ).map(({ shown }) => shown);

  test("is advised, built partition by partition and taken back; by hand the printed statements do it", async () => {
    const url = ["--url", server.url()];
    const plan = join(directory, "plan.json");
    const files = ["--queries", join(directory, "*.sql")];
    const { out } = await indexpilot(["advise", ...url, ...files, "--sql", "--out", plan]);

    const applied = await indexpilot(["apply", plan, ...url, "--yes", "--baseline", "100ms", "--block", "100ms"]);
    expect(applied).toMatchObject({ code: 0, out: expect.stringContaining("visits_page_idx: built") });
    expect(await tree()).toEqual(["visits_1_page_idx", "visits_2_page_idx"]);
    expect((await indexpilot(["apply", plan, ...url, "--yes", "--baseline", "100ms", "--block", "100ms"])).code).toBe(
      0,
    );
    expect(await tree()).toHaveLength(2);

    const part = await indexpilot(["rollback", "visits_1_page_idx", ...url, "--yes"]);
    expect(part).toMatchObject({
      code: 2,
      err: expect.stringContaining("the part of an index on a partitioned table"),
    });
    expect(await indexpilot(["rollback", "visits_page_idx", ...url, "--yes"])).toMatchObject({ code: 0 });
    expect(await tree()).toEqual([]);

    const statements = out.split("\n").filter((line) => line.startsWith("create index"));
    expect(statements).toHaveLength(3);
    for (const statement of statements) await session.query(statement);
    expect(await tree()).toEqual(["visits_1_page_idx attached", "visits_2_page_idx attached", "visits_page_idx"]);
  });
});
