import pg from "pg";
import { sqlStateOf } from "../postgres/index.ts";
import { seededRandom, systemClock, type Clock, type Random } from "../runtime/index.ts";
import type { QueryShape } from "./shape.ts";

export interface TrafficOptions {
  /** Of the application's role. */
  readonly url: string;
  readonly connections: number;
  readonly mix: readonly QueryShape[];
  readonly seed: number;
  /** Calls per second, all connections together. Each waits between its calls so as to reach it, and never catches up on what it missed. */
  readonly callsPerSecond: number;
  /** Of the connections: one of node-postgres, with or without a hook. Default `pg.Client`. */
  readonly Client?: typeof pg.Client;
  /** Ends the traffic, like `stop()`. */
  readonly signal?: AbortSignal;
  /** Told of each failed call; the connection goes on with the next, if need be on a new connection. */
  readonly onError?: (shape: string, error: unknown) => void;
  readonly clock?: Clock;
}

export interface TrafficSummary {
  readonly durationMs: number;
  readonly calls: number;
  readonly errors: number;
  /** Failed calls by SQLSTATE, or the error's name where the server had no part in it. */
  readonly errorsByCode: Readonly<Record<string, number>>;
  readonly byShape: Readonly<
    Record<string, { readonly calls: number; readonly errors: number; readonly meanMs: number }>
  >;
}

export interface Traffic {
  /** What has happened so far. */
  summary(): TrafficSummary;
  /** Lets each connection finish its call, closes them. Idempotent, never throws. */
  stop(): Promise<TrafficSummary>;
}

interface Tally {
  calls: number;
  errors: number;
  totalMs: number;
}

/** Deals the shapes so that each round holds every shape exactly `weight` times, in random order: even the rare ones run every second. */
const dealer = (mix: readonly QueryShape[], random: Random): (() => QueryShape) => {
  const round = mix.flatMap((shape) => Array.from<QueryShape>({ length: shape.weight }).fill(shape));
  let next = round.length;
  return () => {
    if (next >= round.length) {
      next = 0;
      for (let i = round.length - 1; i > 0; i -= 1) {
        const j = Math.floor(random() * (i + 1));
        const [a, b] = [round[i], round[j]];
        if (a !== undefined && b !== undefined) [round[i], round[j]] = [b, a];
      }
    }
    const shape = round[next];
    next += 1;
    if (shape === undefined) throw new Error("a mix needs at least one shape with weight");
    return shape;
  };
};

/**
 * Runs an application's traffic until it is stopped, in this process: what is measured is measured inside the server
 * (`pg_stat_statements`), so that a busy event loop here costs calls and not time, and a further process would take a core from it.
 */
export const runTraffic = (options: TrafficOptions): Traffic => {
  const {
    url,
    connections,
    mix,
    seed,
    callsPerSecond,
    Client = pg.Client,
    signal,
    onError = () => undefined,
    clock = systemClock,
  } = options;
  const random = seededRandom(seed);
  const deal = dealer(mix, random);
  const tallies = new Map<string, Tally>(mix.map(({ name }) => [name, { calls: 0, errors: 0, totalMs: 0 }]));
  const codes = new Map<string, number>();
  const halt = new AbortController();
  const ended = signal === undefined ? halt.signal : AbortSignal.any([signal, halt.signal]);
  const started = clock.monotonicMs();
  const gapMs = (1000 * connections) / callsPerSecond;

  const failed = (shape: string, error: unknown): void => {
    const code = sqlStateOf(error) ?? (error instanceof Error ? error.name : "unknown");
    codes.set(code, (codes.get(code) ?? 0) + 1);
    onError(shape, error);
  };

  const pause = async (ms: number): Promise<void> => {
    if (ms <= 0 || ended.aborted) return;
    await clock.sleep(ms, ended).catch((error: unknown) => {
      if (!ended.aborted) throw error;
    });
  };

  const connect = async (): Promise<pg.Client | null> => {
    const client = new Client({ connectionString: url, application_name: "shop" });
    // Without a listener, a connection that dies while idle would end the process; the next call reports it.
    client.on("error", () => undefined);
    try {
      await client.connect();
      return client;
    } catch (error) {
      failed("connect", error);
      return null;
    }
  };

  /** One call; false when the connection cannot be used any more. */
  const call = async (client: pg.Client, shape: QueryShape): Promise<boolean> => {
    const tally = tallies.get(shape.name);
    const begun = clock.monotonicMs();
    try {
      await client.query(shape.sql, [...shape.parameters(random)]);
      if (tally !== undefined) {
        tally.calls += 1;
        tally.totalMs += clock.monotonicMs() - begun;
      }
      return true;
    } catch (error) {
      if (tally !== undefined) tally.errors += 1;
      failed(shape.name, error);
      const state = sqlStateOf(error);
      return state !== null && !/^(08|57P)/.test(state);
    }
  };

  const worker = async (index: number): Promise<void> => {
    let client: pg.Client | null = null;
    // Connections start evenly spread over one gap.
    await pause((gapMs * index) / connections);
    while (!ended.aborted) {
      const due = clock.monotonicMs() + gapMs * (0.5 + random());
      client ??= await connect();
      if (client !== null && !(await call(client, deal()))) {
        await client.end().catch(() => undefined);
        client = null;
      }
      await pause(client === null ? Math.max(100, gapMs) : due - clock.monotonicMs());
    }
    await client?.end().catch(() => undefined);
  };

  const summary = (): TrafficSummary => {
    const totals = [...tallies.values()];
    return {
      durationMs: clock.monotonicMs() - started,
      calls: totals.reduce((sum, one) => sum + one.calls, 0),
      errors: [...codes.values()].reduce((sum, one) => sum + one, 0),
      errorsByCode: Object.fromEntries(codes),
      byShape: Object.fromEntries(
        [...tallies].map(([name, { calls, errors, totalMs }]) => [
          name,
          { calls, errors, meanMs: calls === 0 ? 0 : totalMs / calls },
        ]),
      ),
    };
  };

  const workers = Promise.all(Array.from({ length: connections }, (_, index) => worker(index)));
  let last: Promise<TrafficSummary> | null = null;
  return {
    summary,
    stop: () => {
      halt.abort();
      last ??= workers.then(summary);
      return last;
    },
  };
};
