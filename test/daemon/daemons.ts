import { createServer, type AddressInfo, connect, type Socket } from "node:net";
import pg from "pg";
import { defaults, type Settings } from "../../src/config/index.ts";
import { runDaemon, type LogEntry } from "../../src/daemon/index.ts";
import type { Webhook } from "../../src/daemon/webhook.ts";
import type { Standing } from "../../src/daemon/standing.ts";
import { failure } from "../../src/errors.ts";
import { resolveConnection } from "../../src/postgres/index.ts";
import { systemClock, systemRandom } from "../../src/runtime/index.ts";
import { until } from "../rollout/fixtures/target.ts";

/** Everything soon: what takes hours takes seconds here. */
export const soon: Settings = {
  ...defaults,
  mode: "autopilot",
  blockMs: 200,
  baselineMs: 1_000,
  adviseEveryMs: 5_000,
  rollOutEveryMs: 200,
  verifyEveryMs: 2_000,
  stopGraceMs: 1_000,
};

export interface RunningDaemon {
  readonly standing: Standing;
  readonly log: readonly LogEntry[];
  /** The first signal. */
  drain(): void;
  /** Resolves when it has ended, and throws what it ended with. */
  readonly ended: Promise<void>;
}

/** A daemon within this process. */
export const startDaemon = async (
  url: string,
  changes: Partial<Settings> = {},
  webhook: Webhook | null = null,
): Promise<RunningDaemon> => {
  const drain = new AbortController();
  const log: LogEntry[] = [];
  const target = resolveConnection(url, {});
  const settings = { ...soon, ...changes };
  let standing: Standing | undefined;
  const ended = runDaemon({
    targets: [{ name: "t", pilot: { observe: target, build: target, settings, clock: systemClock } }],
    clock: systemClock,
    random: systemRandom,
    log: (entry) => log.push(entry),
    webhook,
    drain: drain.signal,
    stopGraceMs: settings.stopGraceMs,
    onStart: (standings) => {
      [standing] = standings;
      return Promise.resolve();
    },
  });
  // Whoever is not awaited yet must not end the process of the tests.
  ended.catch(() => undefined);
  await until("it has begun", () => Promise.resolve(standing !== undefined));
  if (standing === undefined) throw new Error("no standing");
  return { standing, log, ended, drain: () => drain.abort(failure("interrupted", {})) };
};

export const toLead = (daemon: RunningDaemon): Promise<void> =>
  until("it leads", () => Promise.resolve(daemon.standing.role === "leader"));

/** One connection of an application that looks rows up by `v`, through whatever goes wrong, until it is told to stop. */
export const application = (url: string): (() => Promise<void>) => {
  const told = new AbortController();
  const work = (async () => {
    while (!told.signal.aborted) {
      const client = new pg.Client(url);
      client.on("error", () => undefined);
      try {
        await client.connect();
        for (let i = 0; !told.signal.aborted; i += 1) {
          await client.query("select id from t where v = $1", [i % 20_000]);
          await client.query("select label from elsewhere where id = $1", [i % 1_000]);
        }
      } catch {
        await systemClock.sleep(50);
      } finally {
        await client.end().catch(() => undefined);
      }
    }
  })();
  return () => {
    told.abort();
    return work;
  };
};

export const tables = `
  create extension pg_stat_statements;
  create table t (id int, v int);
  insert into t select g, g % 20000 from generate_series(1, 100000) g;
  create table elsewhere (id int primary key, label text);
  insert into elsewhere select g, 'x' from generate_series(1, 1000) g;`;
/** An address that leads to one server, and later to another: what a virtual address or a name does at a failover. */
export const openAddress = async (
  port: number,
): Promise<{ readonly port: number; turnTo(port: number): void; close(): Promise<void> }> => {
  let to = port;
  const open = new Set<Socket>();
  const server = createServer((inside) => {
    const outside = connect(to, "127.0.0.1");
    for (const [one, other] of [
      [inside, outside],
      [outside, inside],
    ] as const) {
      open.add(one);
      one.on("error", () => other.destroy());
      one.on("close", () => {
        open.delete(one);
        other.destroy();
      });
      one.pipe(other);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  const cut = (): void => {
    for (const socket of open) socket.destroy();
  };
  return {
    port: (server.address() as AddressInfo).port,
    turnTo: (next) => {
      to = next;
      cut();
    },
    close: () => {
      cut();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
};
