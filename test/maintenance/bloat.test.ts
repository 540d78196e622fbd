import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Bloat } from "../../src/domain/index.ts";
import { type EmbeddedServer, startEmbedded } from "../../src/embedded/index.ts";
import { countCoarse, estimateBloat, type IndexFacts, readIndexFacts } from "../../src/maintenance/index.ts";
import { openSession, resolveConnection, type Session } from "../../src/postgres/index.ts";
import { until } from "../rollout/fixtures/target.ts";
import { factsOf } from "./facts.ts";

const codeOf = (bloat: Bloat): string => (bloat.kind === "withheld" ? bloat.code : `shown by ${bloat.method}`);

describe.each([14, 18])("bloat on PostgreSQL %i", (major) => {
  let server: EmbeddedServer;
  let admin: Session;
  const open = (user = "postgres", purpose: "build" | "observe" = "build"): Promise<Session> =>
    openSession(resolveConnection(server.url("postgres", user), {}), purpose);
  /** Each in a session of its own: a session's counts have arrived when it has ended. */
  const live = async (...scripts: readonly string[]): Promise<void> => {
    for (const script of scripts) {
      const session = await open();
      await session.script(script);
      await session.close();
    }
  };
  /** Counts take their time to arrive, on 14 through a process of their own. */
  const counted = (condition: string): Promise<void> =>
    until(condition, async () => {
      const session = await open();
      const rows = await session.query(`select from pg_stat_all_tables where relname = 't' and ${condition}`);
      await session.close();
      return rows.length > 0;
    });
  beforeAll(async () => {
    server = await startEmbedded({ major, settings: { autovacuum: "off" } });
    await live(
      `create role watcher login in role pg_monitor; select setseed(0.3);
       create table t (id int primary key, few int, many int, place text, area text, note text);
       insert into t select n, n % 300, (random() * 1e9)::int, 'place' || n / 7, 'area' || n / 21, md5(n::text) from generate_series(1, 40000) n;
       create index plain_many on t (many); create index plain_few on t (few); create index dependent on t (place, area);
       create index partial on t (many) where few = 1; create index expression on t (lower(note)); create index hashed on t using hash (note);
       create index small on t (few) where few < 3`,
      "delete from t where random() < 0.5",
      "vacuum t",
      "insert into t select n, n % 300, (random() * 1e9)::int, 'place' || n / 7, 'area' || n / 21, md5(n::text) from generate_series(40001, 45000) n",
    );
    await live("vacuum t", "analyze t");
    await counted("last_analyze is not null and n_live_tup = (select count(*) from t)");
    admin = await open();
  });
  afterAll(async () => {
    await admin.close();
    await server.stop();
  });
  const look = async (session: Session): Promise<ReadonlyMap<string, Bloat>> =>
    new Map((await readIndexFacts(session)).map((index) => [index.name, estimateBloat(index)]));

  test("is what a REINDEX takes away, where the statistics tell, and is withheld elsewhere", async () => {
    const facts = await readIndexFacts(admin);
    const said = await look(admin);
    expect([...said].map(([name, bloat]) => [name, codeOf(bloat)])).toEqual([
      ["t_pkey", "shown by statistics"],
      ["plain_many", "shown by statistics"],
      ["plain_few", "shown by statistics"],
      ["dependent", "statistics_too_coarse"],
      ["partial", "too_small"],
      ["expression", "no_baseline"],
      ["hashed", "made_in_steps"],
      ["small", "too_small"],
    ]);
    const dependent = facts.filter(({ name }) => name === "dependent");
    const looked = dependent.map((index) => ({ index, bloat: estimateBloat(index) }));
    expect((await countCoarse(admin, looked, 1000)).size).toBe(0);
    const byCount = await countCoarse(admin, looked, 1e9);
    expect([...byCount.values()].map(codeOf)).toEqual(["shown by measured"]);

    for (const name of ["t_pkey", "plain_many", "plain_few", "dependent"]) {
      const size = async (): Promise<number> =>
        Number((await admin.query<{ n: string }>("select pg_relation_size($1::regclass) as n", [name]))[0]?.n);
      const before = await size();
      await admin.script(`begin; reindex index ${name}`);
      const truth = 1 - (await size()) / before;
      await admin.script("rollback");
      const bloat = said.get(name)?.kind === "shown" ? said.get(name) : byCount.get(dependent[0]?.oid ?? 0);
      expect(truth, name).toBeGreaterThan(0.2);
      expect(Math.abs((bloat?.kind === "shown" ? bloat.share : Number.NaN) - truth), name).toBeLessThan(0.05);
    }
  });

  test("is withheld from a role that may not read the statistics, and until ANALYZE has seen what changed", async () => {
    const watcher = await open("watcher", "observe");
    expect(codeOf((await look(watcher)).get("plain_many") as Bloat)).toBe("statistics_unreadable");
    await watcher.close();
    await live("update t set note = note || 'x' where id % 5 = 0");
    await counted("n_mod_since_analyze > 3000");
    expect(codeOf((await look(admin)).get("plain_many") as Bloat)).toBe("statistics_stale");
    await live("analyze t");
    await counted("n_mod_since_analyze = 0");
    expect(codeOf((await look(admin)).get("plain_many") as Bloat)).toBe("shown by statistics");
  });

  test("of a locked index waits for no longer than the session would, and all others are looked at", async () => {
    const holder = await open();
    await holder.script("begin; reindex index plain_many");
    await live("create table free (a int primary key)");
    const observer = await open("postgres", "observe");
    const said = await look(observer);
    expect(codeOf(said.get("plain_many") as Bloat)).toBe("locked");
    expect(codeOf(said.get("free_pkey") as Bloat)).toBe("too_small");
    await holder.script("rollback");
    await holder.close();
    await observer.close();
  });
});

describe("an estimate", () => {
  test("lies between nothing and all, within its own bounds, and never falls while the file grows", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1_000_000 }),
        fc.integer({ min: 1, max: 20_000 }),
        fc.double({ min: -1, max: -0.0001, noNaN: true }),
        fc.constantFrom(70, 90),
        (rows, pages, distinct, fillfactor) => {
          const facts = (bytes: number): IndexFacts => factsOf({ rows, distinct, fillfactor, sizeBytes: bytes * 8192 });
          const [one, larger] = [estimateBloat(facts(pages)), estimateBloat(facts(pages * 2))];
          if (one.kind === "withheld") return;
          expect(one.share).toBeGreaterThanOrEqual(one.low);
          expect(one.share).toBeLessThanOrEqual(one.high);
          expect([one.low >= 0, one.high < 1, one.high - one.low <= 0.1]).toEqual([true, true, true]);
          if (larger.kind === "shown") expect(larger.share).toBeGreaterThanOrEqual(one.share);
        },
      ),
    );
  });

  test("is withheld where the file is smaller than the statistics allow", () => {
    expect(codeOf(estimateBloat(factsOf({ rows: 1_000_000, distinct: -1, sizeBytes: 8192 * 1000 })))).toBe(
      "model_contradicted",
    );
  });

  describe("by its own size after a rebuild", () => {
    /** 20 bytes a row when it was fresh, and 40 now. */
    const by = (changes: Partial<IndexFacts>, tableChanges: Partial<IndexFacts["tableFacts"]> = {}): Bloat => {
      const rows = changes.entries ?? 1_000_000;
      const facts = factsOf({ rows: 1_000_000, sizeBytes: rows * 40 });
      return estimateBloat(
        { ...facts, ...changes, tableFacts: { ...facts.tableFacts, ...tableChanges } },
        undefined,
        20,
      );
    };
    const partial = (entries: number): Partial<IndexFacts> => ({ partial: true, stored: [], entries });

    test.each<[string, Partial<IndexFacts>]>([
      ["of another method", { method: "gist" }],
      ["of a method that counts keys, and not rows", { method: "gin", entries: 3_000_000, sizeBytes: 40_000_000 }],
      ["over an expression", { expression: true, stored: [] }],
      ["whose operator class stores something else", { storesOtherwise: true }],
      [
        "of long values",
        { stored: factsOf({ rows: 1, sizeBytes: 1 }).stored.map((one) => ({ ...one, longest: 900 })) },
      ],
    ])("is shown for one %s", (_, changes) => {
      expect(by(changes)).toEqual({
        kind: "shown",
        method: "baseline",
        share: 0.5,
        low: 0.5,
        high: 0.5,
        neededBytes: 20_000_000,
      });
    });

    test("is not shown for a hash index, which would be made in steps", () => {
      expect(codeOf(by({ method: "hash" }))).toBe("made_in_steps");
    });

    test("is shown where the statistics contradict the file", () => {
      const facts = factsOf({ rows: 1_000_000, distinct: -1, sizeBytes: 8192 * 1000 });
      expect(estimateBloat(facts, undefined, 4)).toMatchObject({ method: "baseline", neededBytes: 4_000_000 });
    });

    test("of a partial one has the error of its rows in ANALYZE's sample, and is withheld where that is too much", () => {
      // 0.8 % of the 30,000 rows in the sample are 240, give or take 31.
      expect(codeOf(by(partial(8000)))).toBe("rows_too_coarse");
      expect(codeOf(by(partial(20_000)))).toBe("rows_too_coarse");
      const some = by(partial(400_000));
      if (some.kind === "withheld") throw new Error(some.code);
      expect(some.share).toBe(0.5);
      expect(some.high - some.share).toBeCloseTo(0.5 * 2 * Math.sqrt((2 * 0.6 * 0.97) / 12_000), 6);
      expect(some.share - some.low).toBeCloseTo(some.high - some.share, 6);
      // All rows of a small table are in the sample.
      const small = { tuples: 30_000, liveTuples: 30_000 };
      expect(by(partial(15_000), small)).toMatchObject({ kind: "shown", low: 0.5, high: 0.5 });
    });

    test("of a partial one is stale when as many rows changed as a tenth of its own, for they may all be of those", () => {
      expect(codeOf(by(partial(400_000), { modificationsSinceAnalyze: 39_000 }))).toBe("shown by baseline");
      expect(codeOf(by(partial(400_000), { modificationsSinceAnalyze: 41_000 }))).toBe("statistics_stale");
      expect(codeOf(by({ method: "gist" }, { modificationsSinceAnalyze: 41_000 }))).toBe("shown by baseline");
    });

    test("is withheld where the counters know other rows than ANALYZE found, and nothing that changed since", () => {
      expect(codeOf(by({ method: "gist" }, { liveTuples: 1_090_000 }))).toBe("shown by baseline");
      for (const liveTuples of [0, 1_110_000]) {
        expect(codeOf(by({ method: "gist" }, { liveTuples }))).toBe("statistics_stale");
      }
    });

    test("of a partial one whose rows nobody counts is withheld, and promises nothing", () => {
      const bloat = by({ ...partial(400_000), method: "gin" });
      expect(bloat).toMatchObject({ code: "no_baseline", remedy: "its sizes before and after a rebuild" });
    });
  });
});
