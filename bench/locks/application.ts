import pg from "pg";
import { seededRandom } from "../../src/runtime/index.ts";

/** What the application's own clients saw. */
export interface Experience {
  statements: number;
  failures: string[];
  /** The slowest read or write, and the slowest DDL that waits for nobody of the application's own. */
  slowestMs: number;
  slowest: string;
  slowestDdlMs: number;
}

const fresh = (): Experience => ({ statements: 0, failures: [], slowestMs: 0, slowest: "", slowestDdlMs: 0 });

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

const CONNECTIONS = 8;

/** Statements of the eight connections; `$1` is a random row. */
const statements = [
  "select id from t where v = $1",
  "select count(*) from t where id between $1 and $1 + 50",
  "update t set w = w + 1 where id = $1",
  "insert into t (id, v, w) select nextval('t_more'), $1, $1",
  "delete from t where id = $1 + 150000",
  "select t.id from t join u on u.id = t.id where t.id = $1",
  "update u set n = n + 1 where id = $1",
] as const;

/** DDL that waits for a concurrent build or drop on its table, and finds no other reason to wait while the lock holder pauses. */
const ddl = [
  "alter table t add column extra integer",
  "alter table t drop column extra",
  "analyze t",
  "create index concurrently application_index on u (n)",
  "drop index concurrently application_index",
  "alter table t alter column note set statistics 200",
  "vacuum t",
] as const;

/**
 * An application at work: eight connections that read and write, one long transaction after the other, one that holds locks, and one that changes
 * the schema. The holder and the changes take turns, so that whatever a client of this application waits for is not the application.
 */
export const startApplication = (
  url: string,
  seed: number,
): {
  /** While neither the holder nor the changes of the schema run. */
  readonly inTurn: (work: () => Promise<void>) => Promise<void>;
  readonly take: () => Experience;
  readonly stop: () => Promise<void>;
} => {
  let seen = fresh();
  const told = new AbortController();
  const random = seededRandom(seed);
  const between = (low: number, high: number): number => low + Math.floor(random() * (high - low));
  const run = async (client: pg.Client, sql: string, values: readonly unknown[], kind: "dml" | "ddl" | "own") => {
    const started = performance.now();
    try {
      await client.query(sql, [...values]);
    } catch (error) {
      seen.failures.push(`${sql}: ${String(error)}`);
    }
    const ms = performance.now() - started;
    seen.statements += 1;
    if (kind === "ddl") seen.slowestDdlMs = Math.max(seen.slowestDdlMs, ms);
    if (kind === "dml" && ms > seen.slowestMs) [seen.slowestMs, seen.slowest] = [ms, sql];
  };
  const connected = async (work: (client: pg.Client) => Promise<void>): Promise<void> => {
    const client = new pg.Client({ connectionString: url, application_name: "application" });
    await client.connect();
    while (!told.signal.aborted) await work(client);
    await client.end();
  };
  // One after the other: who holds the turn runs against no lock of the application's own that lasts.
  let turn: Promise<void> = Promise.resolve();
  const inTurn = (work: () => Promise<void>): Promise<void> => {
    turn = turn.then(work);
    return turn;
  };
  const sessions = [
    ...Array.from({ length: CONNECTIONS }, () =>
      connected(async (client) => {
        const sql = statements[between(0, statements.length)] ?? statements[0];
        await run(client, sql, [between(1, 150_000)], "dml");
        await pause(between(5, 25));
      }),
    ),
    // A snapshot, which every concurrent build and drop has to wait for.
    connected(async (client) => {
      await run(client, "begin isolation level repeatable read", [], "own");
      await run(client, "select count(*) from quiet", [], "own");
      await pause(between(500, 4_000));
      await run(client, "commit", [], "own");
      await pause(between(100, 1_500));
    }),
    connected(async (client) => {
      await inTurn(async () => {
        await run(client, "begin", [], "own");
        await run(client, "update t set note = 'held' where id = 0", [], "own");
        await pause(between(300, 1_500));
        await run(client, "commit", [], "own");
      });
      await pause(between(500, 3_000));
    }),
    (async () => {
      let at = 0;
      await connected(async (client) => {
        const sql = ddl[at % ddl.length] ?? ddl[0];
        at += 1;
        // The long transaction is one it has to wait for by itself: such a wait is told from ours by the observer alone.
        const kind = sql.includes("concurrently") ? "own" : "ddl";
        await inTurn(() => run(client, sql, [], kind));
        // Mostly at short intervals, now and then with room for a whole build.
        await pause(100 + 6_000 * random() ** 3);
      });
    })(),
  ];
  return {
    inTurn,
    take: () => {
      const taken = seen;
      seen = fresh();
      return taken;
    },
    stop: async () => {
      told.abort();
      await Promise.all(sessions);
    },
  };
};
