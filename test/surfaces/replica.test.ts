import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { availableMajors, type EmbeddedServer, startEmbedded } from "../../src/embedded/index.ts";
import { openSession, resolveConnection, type Session } from "../../src/postgres/index.ts";
import { systemClock } from "../../src/runtime/index.ts";
import { indexpilot } from "./run.ts";
import { startStandby } from "./standby.ts";

const majors = [14, 18].filter((major) => availableMajors().includes(major));

interface Advised {
  readonly create: readonly { readonly table: string; readonly columns: readonly string[] }[];
  readonly declined: readonly { readonly code: string; readonly reason: string }[];
  readonly queries: readonly { readonly text: string; readonly calls: number }[];
}

describe.each(majors)("a streaming replica of PostgreSQL %i", (major) => {
  let server: EmbeddedServer;
  let standby: Awaited<ReturnType<typeof startStandby>>;
  let url: (user: string) => string;

  const open = (address: string): Promise<Session> => openSession(resolveConnection(address, {}), "build");

  beforeAll(async () => {
    server = await startEmbedded({ major, settings: { autovacuum: "off" } });
    const admin = await open(server.url());
    await admin.script(`
      create extension pg_stat_statements; create role app login; create role watcher login in role pg_monitor, pg_read_all_data;
      create table orders (id int primary key, customer int, day int, note text);
      insert into orders select n, n % 5000, n % 300, repeat('x', 40) from generate_series(1, 40000) n;
      create index only_read_there on orders (day);
      grant all on orders to app; analyze orders; select pg_stat_statements_reset()`);
    await admin.close();
    standby = await startStandby(server);
    url = (user) => server.url("postgres", user).replace(`:${String(server.port)}/`, `:${String(standby.port)}/`);

    const writer = await open(server.url("postgres", "app"));
    for (let n = 0; n < 5; n += 1) await writer.query("update orders set note = 'y' where id = $1", [n]);
    for (let n = 0; n < 3; n += 1) await writer.query("select note from orders where customer = $1", [n]);
    await writer.close();
    const reader = await open(url("app"));
    for (let n = 0; n < 20; n += 1) await reader.query("select note from orders where customer = $1", [n]);
    await reader.query("set enable_seqscan = off");
    for (let n = 0; n < 20; n += 1) await reader.query("select count(*) from orders where day = $1", [n]);
    await reader.close();
    // The counters of a session that has ended arrive a moment later.
    const watcher = await open(url("watcher"));
    for (const deadline = systemClock.monotonicMs() + 10_000; systemClock.monotonicMs() < deadline;) {
      const [row] = await watcher.query<{ scans: number }>(
        "select idx_scan::int as scans from pg_stat_user_indexes where indexrelname = 'only_read_there'",
      );
      if ((row?.scans ?? 0) > 0) break;
      await systemClock.sleep(100);
    }
    await watcher.close();
  });
  afterAll(async () => {
    await standby.stop();
    await server.stop();
  });

  const ask = (...replicas: readonly string[]): ReturnType<typeof indexpilot> =>
    indexpilot([
      "advise",
      "--url",
      server.url("postgres", "watcher"),
      "--json",
      ...replicas.flatMap((replica) => ["--replica-url", replica]),
    ]);
  const advise = async (...replicas: readonly string[]): Promise<Advised> => {
    const ran = await ask(...replicas);
    expect({ code: ran.code, err: ran.code === 0 ? "" : ran.err }).toEqual({ code: 0, err: "" });
    return JSON.parse(ran.out) as Advised;
  };
  const lookups = ({ queries }: Advised): number | undefined =>
    queries.find(({ text }) => text.startsWith("select note from orders"))?.calls;
  const unused = ({ declined }: Advised): readonly string[] =>
    declined.filter(({ code }) => code === "unused_not_proved").map(({ reason }) => reason);

  test("brings its statements and its use of indexes into the advice", async () => {
    const alone = await advise();
    expect(lookups(alone)).toBe(3);
    expect(unused(alone)).toEqual([expect.stringContaining("only_read_there")]);

    const both = await advise(url("watcher"));
    expect(lookups(both)).toBe(23);
    expect(both.queries.some(({ text }) => text.includes("day = $1"))).toBe(true);
    expect(unused(both)).toEqual([]);
    expect(both.create).toMatchObject([{ table: "public.orders", columns: ["customer"] }]);
  });

  test("is refused where it is none, or none of this server", async () => {
    const other = await startEmbedded({ major });
    const refusal = async (...replicas: readonly string[]): Promise<unknown> => {
      const ran = await ask(...replicas);
      return { exit: ran.code, ...(JSON.parse(ran.out) as { error: object }).error };
    };
    const unsuitable = { exit: 2, code: "replica_unsuitable", remedy: expect.stringContaining("streaming replicas") };
    expect(await refusal(other.url())).toMatchObject({
      ...unsuitable,
      message: expect.stringContaining("belongs to another server"),
    });
    expect(await refusal(server.url())).toMatchObject({
      ...unsuitable,
      message: expect.stringContaining("is a primary"),
    });
    expect(await refusal(url("watcher"), url("watcher"))).toMatchObject({
      ...unsuitable,
      message: expect.stringContaining("was given twice"),
    });
    expect(await refusal(url("watcher").replace("/postgres", "/template1"))).toMatchObject({
      ...unsuitable,
      message: expect.stringContaining("leads to database template1"),
    });
    await other.stop();
    expect(await refusal(other.url())).toMatchObject({ exit: 3, code: "replica_unreachable" });
  });
});
