/**
 * An application at work on the driver hook, as a process of its own. It runs what it is told to, some of it in transactions; a part of its reads it asks again on
 * a connection without the hook, and compares. It ends by `stop`. Its argument is JSON, see {@link Orders}.
 */
import pg from "pg";
import { intercept } from "../../src/driver/index.ts";
import { followExperiments } from "../../src/pilot/index.ts";
import { seededRandom, systemClock } from "../../src/runtime/index.ts";

export interface Orders {
  readonly url: string;
  readonly seed: number;
  readonly reads: readonly Call[];
  readonly writes: readonly Call[];
}

export interface Call {
  readonly sql: string;
  /** The one parameter is a whole number below this; absent: there is none. */
  readonly below?: number;
}

/** What it tells all the time. */
export interface Report {
  readonly calls: number;
  /** Statements that stated a gate. */
  readonly gated: number;
  /** What its own statements failed with, lost connections left out. */
  readonly errors: readonly string[];
  /** Connections that it lost. */
  readonly lost: number;
  /** Reads whose rows were others without the hook. */
  readonly differences: readonly string[];
  /** What following experiments failed with. */
  readonly problems: readonly string[];
}

const orders = JSON.parse(process.argv[2] ?? "null") as Orders;
const CONNECTIONS = 2;
const TELL_MS = 100;
/** After each call, so that the machine has time for the rest. */
const REST_MS = 3;

class Client extends pg.Client {
  override query(...args: unknown[]): never {
    return Reflect.apply(super.query.bind(this), this, args) as never;
  }

  send(sql: string, values: readonly unknown[] = []): Promise<pg.QueryResult> {
    return this.query(sql, values) as Promise<pg.QueryResult>;
  }
}

const hook = intercept({ Client });
await hook.ready;
const ended = new AbortController();
const errors: string[] = [];
const differences: string[] = [];
const problems: string[] = [];
let [calls, lost] = [0, 0];

const pause = (ms: number): Promise<void> => systemClock.sleep(ms, ended.signal).catch(() => undefined);

/** The server went away, or is on its way back. */
const isLoss = (error: unknown): boolean => {
  const { code } = error as { readonly code?: unknown };
  return typeof code !== "string" || code.startsWith("E") || code.startsWith("57P") || code.startsWith("08");
};

const connected = async <T extends pg.Client>(client: T): Promise<T> => {
  client.on("error", () => undefined);
  await client.connect();
  return client;
};

const work = async (seed: number): Promise<void> => {
  const random = seededRandom(seed);
  const drawn = (from: readonly Call[]): { readonly sql: string; readonly values: readonly unknown[] } => {
    const call = from[Math.floor(random() * from.length)];
    if (call === undefined) throw new Error("nothing to call");
    return { sql: call.sql, values: call.below === undefined ? [] : [Math.floor(random() * call.below)] };
  };
  while (!ended.signal.aborted) {
    let [client, plain]: [Client | null, pg.Client | null] = [null, null];
    try {
      client = await connected(new Client(orders.url));
      plain = await connected(new pg.Client(orders.url));
      while (!ended.signal.aborted) {
        const inTransaction = random() < 0.3;
        const { sql, values } = drawn(orders.reads);
        if (inTransaction) await client.send("begin");
        const { rows } = await client.send(sql, values);
        if (random() < 0.2) {
          const write = drawn(orders.writes);
          await client.send(write.sql, write.values);
        }
        if (inTransaction) await client.send("commit");
        calls += 1;
        await pause(REST_MS);
        if (random() > 0.05) continue;
        const other = await plain.query(sql, [...values]);
        if (JSON.stringify(other.rows) !== JSON.stringify(rows)) differences.push(`${sql} ${JSON.stringify(values)}`);
      }
    } catch (error) {
      if (isLoss(error)) lost += 1;
      else errors.push(String(error));
      await pause(100);
    } finally {
      await Promise.allSettled([client?.end(), plain?.end()]);
    }
  }
};

const tell = (): void => {
  const report: Report = { calls, gated: hook.counts().gated, errors, lost, differences, problems };
  process.send?.(report);
};

process.on("message", (word) => {
  if (word === "stop") ended.abort();
});
process.on("disconnect", () => ended.abort());
const following = await followExperiments(hook, {
  url: orders.url,
  application: "shop",
  everyMs: 200,
  onError: (error) => problems.push(String(error)),
});
const telling = setInterval(tell, TELL_MS);
await Promise.all(Array.from({ length: CONNECTIONS }, (_, i) => work(orders.seed * 10 + i)));
clearInterval(telling);
await following.close();
tell();
process.disconnect?.();
