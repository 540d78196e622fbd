/**
 * Does `indexpilot run` bring a bloated database under the threshold by itself, and keep to window and limits whatever happens? `npm run bench:week [-- --speed 600] [--seed S]`
 *
 * A week on a calendar that runs so many times as fast, beside an application that changes all tables all the time: four tables whose indexes are more than half
 * empty, one of them larger than a rebuild may be; the daemon in mode autopilot as a process of its own. In the first nights a rebuild is cancelled by somebody else,
 * the daemon is killed together with its backend, a lock holder outlasts the window, the daemon is killed while its backend goes on, and another session's DDL has to
 * wait. A checker that shares no code with it reads the history and the catalogue: what was never brought under the threshold is a failure; what was, and came back
 * within the week by what the application does, is counted apart, with what `maintain` has to say about it. Ends with one line of JSON.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import pg from "pg";
import { defaults, formatSize, type Settings } from "../src/config/index.ts";
import { startEmbedded } from "../src/embedded/index.ts";
import { maintain } from "../src/pilot/index.ts";
import { openSession, readServerIdentity, resolveConnection } from "../src/postgres/index.ts";
import { acceleratedClock, seededRandom, systemClock } from "../src/runtime/index.ts";
import { openStore } from "../src/store/index.ts";
import { judge } from "./week/checker.ts";
import type { WeekOrder } from "./week/daemon.ts";
import { makeBloated, startApplication, tables } from "./week/database.ts";

const { values: options } = parseArgs({
  options: { speed: { type: "string", default: "600" }, seed: { type: "string" } },
});
const factor = Number(options.speed);
const seed = options.seed === undefined ? randomInt(1_000_000) : Number(options.seed);
const random = seededRandom(seed);

const DAYS = 7;
const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
const MB = 1e6;
/** The next noon, so that the server's own counters are not much older than the calendar. */
const start = new Date(Math.ceil(systemClock.now().getTime() / DAY_MS) * DAY_MS + 12 * HOUR_MS);
/** Has one time all year. */
const zone = "Asia/Kolkata";
/** When the first night's window opens: 02:00 there. */
const firstNight = new Date(start.getTime() + 8.5 * HOUR_MS);

const settings: Settings = {
  ...defaults,
  mode: "autopilot",
  maintenanceWindows: [
    { time_zone: zone, from: "02:00", to: "06:00", days: ["mon", "tue", "wed", "thu", "fri", "sat", "sun"] },
  ],
  rebuildIndexBytes: 20 * MB,
  rebuildTotalBytes: 40 * MB,
  rollOutEveryMs: 300_000,
  // What takes real time: a block of observation, and the way from a permit to the DDL.
  observeEveryMs: DAY_MS,
  blockMs: 100,
  permitMs: 10_000 * factor,
  adviseEveryMs: 30 * DAY_MS,
};

const say = (text: string): void => void process.stdout.write(`${text}\n`);
const sleep = (ms: number): Promise<void> => systemClock.sleep(ms);

const server = await startEmbedded({ major: 18, settings: { autovacuum_naptime: "1s", max_connections: "50" } });
const admin = new pg.Client(server.url());
await admin.connect();
await makeBloated(admin, "postgres", random);

const begun = systemClock.now().getTime();
const clock = acceleratedClock(start, begun, factor);
const order: WeekOrder = {
  observe: server.url("postgres", "watcher"),
  build: server.url("postgres", "builder"),
  settings,
  calendar: { start: start.toISOString(), begun, factor },
};
// Nothing is to be advised this week: it is not what is asked here.
const storeSession = await openSession(resolveConnection(order.build, {}), "store");
const store = await openStore(storeSession, {
  create: true,
  server: await readServerIdentity(storeSession),
  now: clock.now(),
});
const dueAt = new Date(start.getTime() + 2 * DAYS * DAY_MS);
await store?.duties.save({ name: "advise", dueAt, endedAt: null, outcome: null, failures: 0 });
await storeSession.close();

let child: ChildProcess | undefined;
const failures: string[] = [];
const launch = (): void => {
  child = spawn(
    process.execPath,
    ["--import", "tsx", fileURLToPath(new URL("week/daemon.ts", import.meta.url)), JSON.stringify(order)],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    for (const line of text.split("\n")) if (/"level":"error"/.test(line)) failures.push(line);
  });
};
const end = async (signal: "SIGKILL" | "SIGTERM"): Promise<void> => {
  const ended = new Promise((resolve) => child?.once("exit", resolve));
  child?.kill(signal);
  await ended;
};

interface Rebuilding {
  readonly pid: number;
  readonly name: string;
  readonly table: string;
}

/** The rebuild under way, once the copy that proves a leftover ours is recorded; null where none came before `until`. */
const rebuilding = async (until: Date): Promise<Rebuilding | null> => {
  while (clock.now() < until) {
    const { rows } = await admin.query<Rebuilding>(
      `select backend_pid as pid, index_name as name, table_name as "table" from indexpilot.deployment
        where kind = 'reindex' and state = 'building' and index_oid is not null and backend_pid is not null`,
    );
    if (rows[0] !== undefined) return rows[0];
    await sleep(20);
  }
  return null;
};
let longestDdlMs = 0;
type Night = (rebuild: Rebuilding, release: () => Promise<void>, closes: Date) => Promise<string>;
const nights: readonly Night[] = [
  async ({ pid, name }, release) => {
    await admin.query("select pg_cancel_backend($1)", [pid]);
    await release();
    return `somebody cancels the rebuild of ${name}`;
  },
  async ({ pid, name }, release) => {
    await end("SIGKILL");
    await admin.query("select pg_terminate_backend($1)", [pid]);
    await release();
    launch();
    return `the daemon is killed, and its backend, while it rebuilds ${name}`;
  },
  async ({ name }, release, closes) => {
    await clock.sleepUntil(new Date(closes.getTime() + HOUR_MS));
    await release();
    return `a lock holder outlasts the window, in which ${name} waits for it`;
  },
  async ({ name }, release) => {
    await end("SIGKILL");
    await release();
    launch();
    return `the daemon is killed while it rebuilds ${name}, and its backend goes on`;
  },
  async ({ name, table }, release) => {
    const ddl = new pg.Client(server.url());
    await ddl.connect();
    const began = performance.now();
    await ddl.query(`alter table ${table} alter column code set statistics 100`);
    longestDdlMs = Math.max(longestDdlMs, performance.now() - began);
    await ddl.end();
    await release();
    return `DDL has to wait for the rebuild of ${name}, which gives way after ${longestDdlMs.toFixed(0)} ms`;
  },
];

launch();
const application = await startApplication(server.url(), random);
const day = (at: Date): string => at.toISOString().slice(0, 16).replace("T", " ");
for (let night = 0; night < DAYS; night += 1) {
  const opens = new Date(firstNight.getTime() + night * DAY_MS);
  const closes = new Date(opens.getTime() + 4 * HOUR_MS);
  const happens = nights[night];
  if (happens === undefined) {
    // Once by day it ends as a deployment of a new version ends it, and begins again.
    if (night === nights.length) {
      await clock.sleepUntil(new Date(opens.getTime() - 8 * HOUR_MS));
      await end("SIGTERM");
      launch();
    }
    await clock.sleepUntil(closes);
    continue;
  }
  const holder = new pg.Client(server.url());
  await holder.connect();
  await clock.sleepUntil(new Date(opens.getTime() - HOUR_MS / 4));
  await holder.query(`begin; lock table ${tables.map(({ name }) => name).join(", ")} in row exclusive mode`);
  const found = await rebuilding(closes);
  const told = found === null ? "nothing was rebuilt" : await happens(found, () => holder.end(), closes);
  if (found === null) await holder.end();
  say(`${day(opens)}  ${told}`);
  await clock.sleepUntil(closes);
}
await clock.sleepUntil(new Date(start.getTime() + DAYS * DAY_MS));
await end("SIGTERM");
await application.stop();

const judged = await judge(admin, {
  timeZone: zone,
  from: 2,
  to: 6,
  indexes: 5,
  indexBytes: 20 * MB,
  totalBytes: 40 * MB,
  // A permit that was given in time is begun a moment later, and a second here is minutes there.
  timeMs: HOUR_MS + 1_000 * factor,
  threshold: 0.2,
});
const { declined } = await maintain(
  {
    observe: resolveConnection(order.observe, {}),
    build: resolveConnection(order.build, {}),
    settings,
    clock,
    signal: new AbortController().signal,
    emit: () => undefined,
  },
  { rebuild: null, readBytes: settings.healthReadBytes },
);
say("");
say(`${"rebuilt".padEnd(20)} when (UTC)           before  predicted      after    error`);
const errors: number[] = [];
for (const { name, at, before, predicted, after } of judged.rebuilt) {
  const error = (predicted - after) / after;
  errors.push(Math.abs(error));
  say(
    `${name.padEnd(20)} ${day(at)} ${[before, predicted, after].map((bytes) => formatSize(bytes).padStart(10)).join(" ")} ${(100 * error).toFixed(1).padStart(6)} %`,
  );
}
say("");
say(`${"index".padEnd(20)}       size      fresh  bloat`);
for (const { name, sizeBytes, freshBytes } of judged.indexes) {
  const share = `${(100 * Math.max(0, 1 - freshBytes / sizeBytes)).toFixed(1).padStart(5)} %`;
  say(`${name.padEnd(20)} ${formatSize(sizeBytes).padStart(10)} ${formatSize(freshBytes).padStart(10)} ${share}`);
}
say("");
for (const { code, count, silent } of judged.refusals) {
  say(`refused ${String(count)} times: ${code}${silent > 0 ? `, ${String(silent)} of them for good` : ""}`);
}
say(
  `the application: ${String(application.calls())} calls, the longest ${application.longestMs().toFixed(0)} ms; DDL of others waited at most ${longestDdlMs.toFixed(0)} ms`,
);
for (const [what, list] of [
  ["outside the window", judged.outsideWindow],
  ["over a limit", judged.overLimits],
  ["left over", judged.leftovers],
  ["above the threshold", judged.aboveThreshold],
  ["the application's statement failed", application.errors],
  ["the daemon's error", failures],
] as const) {
  for (const one of list) say(`${what}: ${one}`);
}
for (const name of judged.returned) {
  const told = declined.find((one) => one.name === `public.${name}`);
  say(`came back: ${name}, ${told?.reason ?? "which is not seen yet"}`);
}
await admin.end();
await server.stop();
const rounded = (value: number): number => Number(value.toFixed(4));
const result = {
  days: DAYS,
  rebuilt: judged.rebuilt.length,
  outsideWindow: judged.outsideWindow.length,
  overLimits: judged.overLimits.length,
  leftovers: judged.leftovers.length,
  aboveThreshold: judged.aboveThreshold.length,
  returned: judged.returned.length,
  applicationErrors: application.errors.length,
  predictionError: rounded(errors.reduce((sum, one) => sum + one, 0) / Math.max(1, errors.length)),
  largestPredictionError: rounded(Math.max(0, ...errors)),
  seed,
};
say(JSON.stringify(result));
if (result.rebuilt === 0 || result.outsideWindow + result.overLimits + result.leftovers + result.aboveThreshold > 0) {
  process.exitCode = 1;
}
