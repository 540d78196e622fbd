/**
 * Is our set of indexes faster than that of an adviser that looks at one query at a time? `npm run bench:measured [-- --gigabytes 4 --seed 1]`
 *
 * Fills a real store, runs its traffic once, and asks both for indexes within the same bytes. Each set is really built and measured in turns (ours,
 * theirs, ours, theirs), each question with the same values; of each question's times the median counts. `total` is what the traffic of one unit of
 * time takes, `worst` the slowest question's call. Prints a table, then one line of JSON.
 */
import { parseArgs } from "node:util";
import { defaults } from "../src/config/index.ts";
import type { IndexDefinition } from "../src/domain/index.ts";
import { startEmbedded } from "../src/embedded/index.ts";
import { liveTarget, readSubject, withAdvice, workloadOfTraffic } from "../src/pilot/index.ts";
import {
  openSession,
  quoteIdentifier,
  renderCreateIndex,
  resolveConnection,
  type Session,
} from "../src/postgres/index.ts";
import { seededRandom, seedFrom, systemClock } from "../src/runtime/index.ts";
import { chooseOneAtATime } from "./measured/one-at-a-time.ts";
import { type Asked, extentOf, questions, storeSetup } from "./measured/store.ts";

const { values: options } = parseArgs({
  options: {
    gigabytes: { type: "string", default: "4" },
    /** Share of the database that the new indexes may take. */
    budget: { type: "string", default: "0.15" },
    rounds: { type: "string", default: "2" },
    repetitions: { type: "string", default: "5" },
    seed: { type: "string", default: "1" },
    major: { type: "string", default: "18" },
  },
});

const seed = Number(options.seed);
const repetitions = Number(options.repetitions);

const say = (text: string): void => {
  process.stderr.write(`${(systemClock.monotonicMs() / 1000).toFixed(0).padStart(5)} s  ${text}\n`);
};

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;

/** Milliseconds of one call; writes are rolled back. */
const timeOf = async (session: Session, sql: string): Promise<number> => {
  const started = systemClock.monotonicMs();
  await session.script(`begin; ${sql}; rollback`);
  return systemClock.monotonicMs() - started;
};

/** All questions once over; every set of indexes is asked with the same values. */
const askAll = async (session: Session, asked: readonly Asked[], round: number): Promise<Map<string, number[]>> => {
  const times = new Map<string, number[]>();
  for (const one of asked) {
    const random = seededRandom(seedFrom(`${String(seed)}:${String(round)}:${one.name}`));
    const warmUp = one.draw(random);
    await timeOf(session, warmUp);
    const own: number[] = [];
    for (let i = 0; i < repetitions; i += 1) own.push(await timeOf(session, one.draw(random)));
    times.set(one.name, own);
  }
  return times;
};

interface Contender {
  readonly name: string;
  readonly definitions: readonly IndexDefinition[];
  readonly times: Map<string, number[]>;
  bytes: number;
}

const nameAt = (at: number): string => quoteIdentifier(`measured_${String(at)}`);

const build = async (session: Session, contender: Contender): Promise<void> => {
  for (const [at, definition] of contender.definitions.entries()) {
    const text = renderCreateIndex(definition, null, { concurrently: false });
    await session.script(text.replace(/^create index /i, `create index ${nameAt(at)} `));
  }
  const [row] = await session.query<{ bytes: string | null }>(
    "select sum(pg_relation_size(oid))::text as bytes from pg_class where relname like 'measured\\_%'",
  );
  contender.bytes = Number(row?.bytes ?? 0);
  // Expressions have no statistics before.
  await session.script("analyze; checkpoint");
};

const drop = async (session: Session, contender: Contender): Promise<void> => {
  for (const at of contender.definitions.keys()) await session.script(`drop index ${nameAt(at)}`);
};

const measure = async (
  session: Session,
  asked: readonly Asked[],
  contender: Contender,
  round: number,
): Promise<void> => {
  const started = systemClock.monotonicMs();
  await build(session, contender);
  for (const [name, times] of await askAll(session, asked, round)) {
    contender.times.set(name, [...(contender.times.get(name) ?? []), ...times]);
  }
  await drop(session, contender);
  say(`${contender.name}, round ${String(round + 1)}: ${((systemClock.monotonicMs() - started) / 1000).toFixed(0)} s`);
};

const summary = (asked: readonly Asked[], { definitions, bytes, times }: Contender) => {
  const each = asked.map((one) => ({ ...one, ms: median(times.get(one.name) ?? []) }));
  const worst = each.reduce((a, b) => (b.ms > a.ms ? b : a));
  return {
    indexes: definitions.length,
    sizeMb: Math.round(bytes / 1e6),
    totalMs: Math.round(each.reduce((sum, one) => sum + one.calls * one.ms, 0)),
    worstMs: Number(worst.ms.toFixed(2)),
    worstQuery: worst.name,
  };
};

const main = async (): Promise<void> => {
  const extent = extentOf(Number(options.gigabytes));
  const asked = questions(extent);
  const server = await startEmbedded({
    major: Number(options.major),
    settings: {
      autovacuum: "off",
      jit: "off",
      shared_buffers: "1GB",
      effective_cache_size: "4GB",
      random_page_cost: "1.1",
      maintenance_work_mem: "256MB",
      max_wal_size: "8GB",
      synchronous_commit: "off",
    },
  });
  try {
    const admin = await openSession(resolveConnection(server.url(), {}), "build");
    for (const sql of storeSetup(extent)) await admin.script(sql);
    for (const table of ["customer", "product", "purchase", "line", "payment", "event"]) {
      await admin.script(`vacuum analyze ${table}`);
    }
    await admin.script(
      "create extension pg_stat_statements; create role app login in role pg_read_all_data, pg_write_all_data",
    );
    const [size] = await admin.query<{ bytes: string }>("select pg_database_size(current_database())::text as bytes");
    const budgetBytes = Math.round(Number(size?.bytes ?? 0) * Number(options.budget));
    say(
      `filled, ${(Number(size?.bytes ?? 0) / 1e9).toFixed(2)} GB; each set may take ${String(Math.round(budgetBytes / 1e6))} MB`,
    );

    const app = await openSession(resolveConnection(server.url("postgres", "app"), {}), "build");
    const none: Contender = { name: "without", definitions: [], times: new Map(), bytes: 0 };
    await measure(admin, asked, none, 0);

    // The traffic as the server counts it: each question as often as its share says, in tenths.
    await admin.script("select pg_stat_statements_reset()");
    const random = seededRandom(seed);
    for (const one of asked) {
      for (let call = 0; call < Math.ceil(one.calls / 10); call += 1) await timeOf(app, one.draw(random));
    }
    say("the traffic has been counted");

    const target = resolveConnection(server.url(), {});
    const signal = new AbortController().signal;
    const context = {
      observe: target,
      build: target,
      settings: defaults,
      clock: systemClock,
      signal,
      emit: () => undefined,
    };
    const observer = await openSession(target, "observe");
    const source = liveTarget(observer, workloadOfTraffic(context, observer, { observeMs: null, seed }));
    const subject = await readSubject(source, context.emit, signal);
    const { ours, theirs } = await withAdvice(
      { ...context, source, budgetBytes, whatIf: "shadow", maxColumns: defaults.maxColumns, limits: defaults },
      async (advice, planner) => ({
        ours: advice.configuration.create.map((one) => one.index.definition),
        theirs: (await chooseOneAtATime(planner, subject, budgetBytes)).map((one) => one.definition),
      }),
    );
    say("both have chosen");

    const contenders: readonly Contender[] = [
      { name: "ours", definitions: ours, times: new Map(), bytes: 0 },
      { name: "one query at a time", definitions: theirs, times: new Map(), bytes: 0 },
    ];
    for (let round = 0; round < Number(options.rounds); round += 1) {
      for (const contender of contenders) await measure(admin, asked, contender, round);
    }
    for (const session of [admin, app, observer]) await session.close();

    const all = [none, ...contenders];
    for (const { name, definitions } of contenders) {
      process.stdout.write(`${name}:\n`);
      for (const one of definitions)
        process.stdout.write(`  ${renderCreateIndex(one, null, { concurrently: false })}\n`);
    }
    const cell = (value: string): string => value.padStart(22);
    process.stdout.write(
      `${"milliseconds of a call, median".padEnd(32)}${all.map((one) => cell(one.name)).join("")}\n`,
    );
    for (const { name, calls } of asked) {
      const row = all.map((one) => cell(median(one.times.get(name) ?? []).toFixed(2))).join("");
      process.stdout.write(`${`${name} (${String(calls)}×)`.padEnd(32)}${row}\n`);
    }
    const [without, own, other] = all.map((one) => summary(asked, one));
    const row = (name: string, value: (one: typeof own) => string): void => {
      process.stdout.write(`${name.padEnd(32)}${[without, own, other].map((one) => cell(value(one))).join("")}\n`);
    };
    row("total", (one) => String(one?.totalMs));
    row("worst", (one) => String(one?.worstMs));
    row("megabytes", (one) => String(one?.sizeMb));
    process.stdout.write(
      `${JSON.stringify({ gigabytes: Number(options.gigabytes), budgetMb: Math.round(budgetBytes / 1e6), without, ours: own, oneAtATime: other })}\n`,
    );
  } finally {
    await server.stop();
  }
};

await main();
