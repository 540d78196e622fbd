import pg from "pg";
import { intercept, type Interception } from "../../src/driver/index.ts";
import { type Following, followExperiments } from "../../src/pilot/index.ts";
import { seededRandom, systemClock } from "../../src/runtime/index.ts";

/** One kind of statement that the application sends. */
export interface Call {
  readonly sql: string;
  readonly values: (random: () => number) => readonly unknown[];
}

export interface Application {
  readonly hook: Interception;
  readonly following: Following;
  /** What went wrong in its own calls. */
  readonly errors: readonly string[];
  calls(): number;
  /** Ends its traffic, hands over what was seen, closes everything. */
  stop(): Promise<void>;
}

/** An application on its own driver class, so that IndexPilot's sessions in the same process are not hooked: live traffic from some connections, as fast as it goes. */
export const startApplication = async (
  url: string,
  storeUrl: string,
  mix: readonly Call[],
  { connections = 2, everyMs = 100, pauseMs = 0 } = {},
): Promise<Application> => {
  class Client extends pg.Client {
    override query(...args: unknown[]): never {
      return Reflect.apply(super.query.bind(this), this, args) as never;
    }

    /** What the class says of it, which the compiler could not know of the above. */
    send(sql: string, values: readonly unknown[]): Promise<pg.QueryResult> {
      return this.query(sql, values) as Promise<pg.QueryResult>;
    }
  }
  const hook = intercept({ Client });
  await hook.ready;
  const problems: Error[] = [];
  const following = await followExperiments(hook, {
    url: storeUrl,
    application: "shop",
    everyMs,
    onError: (error) => problems.push(error),
  });
  const ended = new AbortController();
  const errors: string[] = [];
  let calls = 0;
  const worker = async (seed: number): Promise<void> => {
    const random = seededRandom(seed);
    const client = new Client(url);
    await client.connect();
    while (!ended.signal.aborted) {
      const call = mix[Math.floor(random() * mix.length)];
      if (call === undefined) throw new Error("a mix without calls");
      try {
        await client.send(call.sql, [...call.values(random)]);
      } catch (error) {
        errors.push(String(error));
      }
      calls += 1;
      if (pauseMs > 0) await systemClock.sleep(pauseMs, ended.signal).catch(() => undefined);
    }
    await client.end();
  };
  const workers = Promise.all(Array.from({ length: connections }, (_, i) => worker(i + 1)));
  return {
    hook,
    following,
    errors,
    calls: () => calls,
    stop: async () => {
      ended.abort();
      await workers;
      await following.close();
      hook.remove();
    },
  };
};
