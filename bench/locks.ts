/**
 * Does anybody wait for us? `npm run bench:locks -- [--rounds 6] [--seed 1] [--majors 15,18]`
 *
 * Beside an application at work (eight connections that read and write, one long transaction after the other, a lock holder, DDL) and a standby that
 * is read from, each round advises, builds the plan's two indexes, rebuilds one of somebody's,
 * takes that back to an earlier version, and drops the plan's two again, trying again whenever it gave way. An observer samples
 * `pg_locks` and `pg_blocking_pids` every 10 ms and counts every wait that a session of ours has a part in, directly or through others; the clients time
 * their own statements, before and meanwhile. Counted as well: autovacuum kept waiting or cancelled, and queries cancelled on the standby.
 * The last line is JSON: `maxWaitMs` is the longest wait because of us.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { spawn } from "node:child_process";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import pg from "pg";
import { startEmbedded } from "../src/embedded/index.ts";
import { startStandby } from "../test/surfaces/standby.ts";
import { startApplication } from "./locks/application.ts";
import { observe } from "./locks/observer.ts";

const { values: options } = parseArgs({
  options: {
    rounds: { type: "string", default: "6" },
    seed: { type: "string", default: "1" },
    majors: { type: "string", default: "15,18" },
  },
});

const program = fileURLToPath(new URL("../bin/indexpilot.js", import.meta.url));
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const QUIET_MS = 10_000;
/** So often an act that gave way is tried again. */
const TRIES = 40;

const schema = `
  create extension pg_stat_statements;
  create table t (id integer primary key, v integer not null, w integer not null, note text not null default 'some words');
  insert into t select g, g % 20000, g % 777 from generate_series(0, 150000) g;
  create index other on t (note);
  create sequence t_more start 150001;
  create table u (id integer primary key, n integer not null);
  insert into u select g, 0 from generate_series(1, 150000) g;
  create table quiet (id integer);
  analyze`;

const run = (args: readonly string[]): Promise<{ readonly code: number | null; readonly err: string }> =>
  new Promise((resolve) => {
    const child = spawn(process.execPath, [program, ...args], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, NO_COLOR: "1" },
    });
    let err = "";
    child.stdout.resume();
    child.stderr.setEncoding("utf8").on("data", (text: string) => (err += text));
    child.once("close", (code) => resolve({ code, err }));
  });

/** Reads on the standby, which replayed locks and removed rows may cancel. */
const startReader = (url: string): { readonly cancelled: () => number; readonly stop: () => Promise<void> } => {
  const told = new AbortController();
  let cancelled = 0;
  const work = (async () => {
    let client = new pg.Client({ connectionString: url, application_name: "reader" });
    client.on("error", () => undefined);
    await client.connect();
    while (!told.signal.aborted) {
      try {
        await client.query("select count(*), pg_sleep(0.3) from t where id < 1000");
      } catch {
        cancelled += 1;
        await client.end().catch(() => undefined);
        client = new pg.Client({ connectionString: url, application_name: "reader" });
        client.on("error", () => undefined);
        await client.connect();
      }
    }
    await client.end();
  })();
  return {
    cancelled: () => cancelled,
    stop: async () => {
      told.abort();
      await work;
    },
  };
};

interface Result {
  readonly major: number;
  readonly maxWaitMs: number;
  readonly failedStatements: number;
  readonly statements: number;
  readonly waits: number;
  readonly slowestStatementMs: number;
  readonly slowestStatementBeforeMs: number;
  readonly slowestDdlMs: number;
  readonly slowestDdlBeforeMs: number;
  readonly autovacuumWaitedMs: number;
  readonly autovacuumCancelled: number;
  readonly autovacuumSkipped: number;
  readonly standbyCancelled: number;
  readonly built: number;
  readonly dropped: number;
  readonly rebuilt: number;
  readonly replaced: number;
  readonly gaveWay: number;
}

const measure = async (major: number, rounds: number, seed: number): Promise<Result> => {
  const server = await startEmbedded({
    major,
    settings: {
      autovacuum_naptime: "1s",
      autovacuum_vacuum_threshold: "50",
      autovacuum_vacuum_scale_factor: "0",
      log_autovacuum_min_duration: "0",
      log_min_messages: "error",
      wal_level: "replica",
    },
  });
  const directory = mkdtempSync(join(tmpdir(), "ip-locks-"));
  const session = new pg.Client({ connectionString: server.url(), application_name: "harness" });
  const stops: (() => Promise<void>)[] = [];
  try {
    await session.connect();
    await session.query(schema);
    await session.query("vacuum");
    writeFileSync(join(directory, "v.sql"), "select id from t where v = 17\n");
    writeFileSync(join(directory, "w.sql"), "select id from t where w = 17 and id < 500\n");
    const plan = join(directory, "plan.json");
    const files = ["--queries", join(directory, "*.sql")];
    // An application with so much DDL makes builds give way often; the rates are not what is measured.
    const config = join(directory, "config.yaml");
    writeFileSync(config, "safeguards: { builds_per_table_per_hour: 1000, builds_per_hour: 10000 }\n");
    const url = ["--url", server.url(), "--config", config];
    const advised = await run(["advise", ...url, ...files, "--out", plan]);
    if (advised.code !== 0) throw new Error(`there is no plan to carry out: ${advised.err}`);
    const standby = await startStandby(server);
    const standbyUrl = server.url().replace(`:${String(server.port)}/`, `:${String(standby.port)}/`);
    const reader = startReader(standbyUrl);
    stops.push(() => standby.stop(), reader.stop);

    const application = startApplication(server.url(), seed);
    stops.push(application.stop);
    await pause(QUIET_MS);
    const before = application.take();
    const observer = observe(server.url());
    stops.push(observer.stop);
    const counts = { built: 0, dropped: 0, rebuilt: 0, replaced: 0, gaveWay: 0 };
    const standing = async (): Promise<string[]> =>
      (
        await session.query<{ name: string }>(
          "select index_name as name from indexpilot.deployment where state in ('verifying', 'settled') order by 1",
        )
      ).rows.map(({ name }) => name);
    const insist = async (args: readonly string[]): Promise<void> => {
      let last = "";
      for (let tries = 0; tries < TRIES; tries += 1) {
        const { code, err } = await run(args);
        if (code === 0) return;
        if (code !== 5) throw new Error(`indexpilot ${args.join(" ")} ended with ${String(code)}: ${err}`);
        last = err;
        counts.gaveWay += 1;
      }
      throw new Error(`indexpilot ${args.join(" ")} gave way ${String(TRIES)} times: ${last}`);
    };
    const soon = ["--baseline", "100ms", "--block", "100ms"];
    for (let round = 0; round < rounds; round += 1) {
      await insist(["advise", ...url, ...files]);
      // Each round is as the first: nothing of ours before it.
      await session.query("drop schema if exists indexpilot cascade");
      await insist(["apply", plan, ...url, "--yes", ...soon]);
      // Somebody makes it another one, and is asked to take that back. Nobody watches over that DDL: beside the application's own it would end in deadlocks.
      await application.inTurn(async () => {
        await session.query("drop index concurrently other");
        await session.query("create index concurrently other on t (note, v)");
      });
      await insist(["reindex", "other", ...url, "--yes"]);
      counts.rebuilt += 1;
      await insist(["rollback", "other", "--to", "1", "--not-ours", ...url, "--yes"]);
      counts.replaced += 1;
      const names = await standing();
      counts.built += names.length;
      for (const name of names) {
        await insist(["rollback", name, ...url, "--yes"]);
        counts.dropped += 1;
      }
      process.stdout.write(
        `${String(major)}  round ${String(round + 1)}: ${JSON.stringify(counts)}, longest wait so far ${longest(observer.waits).toFixed(0)} ms\n`,
      );
    }
    await observer.stop();
    await application.stop();
    const meanwhile = application.take();
    const log = readFileSync(join(dirname(server.dataDirectory), "log"), "utf8");
    const vacuum = observer.waits.filter(({ backendType }) => backendType.startsWith("autovacuum"));
    const waits = observer.waits.filter((wait) => !vacuum.includes(wait));
    for (const { statement, ms } of waits.toSorted((a, b) => b.ms - a.ms).slice(0, 5)) {
      process.stdout.write(`${String(major)}  waited ${ms.toFixed(0)} ms: ${statement}\n`);
    }
    for (const failed of [...before.failures, ...meanwhile.failures])
      process.stdout.write(`${String(major)}  failed: ${failed}\n`);
    // Who waited for whom, in the server's words.
    for (const [, detail = ""] of log.matchAll(/ERROR: {2}deadlock detected\n(.*DETAIL:(?:.*\n\t.*)+)/g)) {
      process.stdout.write(`${detail}\n`);
    }
    process.stdout.write(
      `${String(major)}  slowest read or write: ${before.slowestMs.toFixed(0)} ms before, ${meanwhile.slowestMs.toFixed(0)} ms meanwhile (${meanwhile.slowest}); longest gap between two looks ${observer.longestGapMs().toFixed(0)} ms\n`,
    );
    return {
      major,
      maxWaitMs: Math.round(longest(waits)),
      failedStatements: before.failures.length + meanwhile.failures.length,
      statements: meanwhile.statements,
      waits: waits.length,
      slowestStatementMs: Math.round(meanwhile.slowestMs),
      slowestStatementBeforeMs: Math.round(before.slowestMs),
      slowestDdlMs: Math.round(meanwhile.slowestDdlMs),
      slowestDdlBeforeMs: Math.round(before.slowestDdlMs),
      autovacuumWaitedMs: Math.round(vacuum.reduce((sum, { ms }) => sum + ms, 0)),
      autovacuumCancelled: log.split("canceling autovacuum task").length - 1,
      autovacuumSkipped: log.split("skipping vacuum of").length - 1 + log.split("skipping analyze of").length - 1,
      standbyCancelled: reader.cancelled(),
      ...counts,
    };
  } finally {
    for (const stop of stops.toReversed()) await stop();
    await session.end();
    await server.stop();
    rmSync(directory, { recursive: true });
  }
};

const longest = (waits: readonly { readonly ms: number }[]): number =>
  waits.reduce((most, { ms }) => Math.max(most, ms), 0);

const results: Result[] = [];
for (const major of options.majors.split(",").map(Number)) {
  const result = await measure(major, Number(options.rounds), Number(options.seed));
  results.push(result);
  process.stdout.write(`${JSON.stringify(result)}\n`);
}
const most = (of: (result: Result) => number): number => Math.max(...results.map(of));
const sum = (of: (result: Result) => number): number => results.reduce((total, result) => total + of(result), 0);
const failedStatements = sum((one) => one.failedStatements);
const maxWaitMs = most((one) => one.maxWaitMs);
process.stdout.write(
  `${JSON.stringify({
    maxWaitMs,
    failedStatements,
    statements: sum((one) => one.statements),
    waits: sum((one) => one.waits),
    slowestStatementMs: most((one) => one.slowestStatementMs),
    slowestStatementBeforeMs: most((one) => one.slowestStatementBeforeMs),
    autovacuumWaitedMs: sum((one) => one.autovacuumWaitedMs),
    autovacuumCancelled: sum((one) => one.autovacuumCancelled),
    autovacuumSkipped: sum((one) => one.autovacuumSkipped),
    standbyCancelled: sum((one) => one.standbyCancelled),
    built: sum((one) => one.built),
    dropped: sum((one) => one.dropped),
    rebuilt: sum((one) => one.rebuilt),
    replaced: sum((one) => one.replaced),
    gaveWay: sum((one) => one.gaveWay),
  })}\n`,
);
if (failedStatements > 0) process.exitCode = 1;
