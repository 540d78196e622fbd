import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { fingerprint } from "libpg-query";
import pg from "pg";
import type { IndexDefinition } from "../../src/domain/index.ts";
import { ascending } from "../../src/domain/index.ts";
import { admitFollower } from "../../src/pilot/admit.ts";
import {
  createAbExperiment,
  createCanaryDeployment,
  endAbExperiment,
  type PilotContext,
  resume,
  stop,
} from "../../src/pilot/index.ts";
import { seededRandom } from "../../src/runtime/index.ts";
import { pilotFor } from "../../src/surfaces/library/index.ts";
import type { Orders as ApplicationOrders, Report } from "./application.ts";
import { check, type Ended } from "./checker.ts";
import type { Orders as ConductorOrders } from "./conductor.ts";
import { lured, type Disturbance, type Scenario } from "./scenarios.ts";
import { HOLD, type Stage, trap } from "./stage.ts";

export interface CanaryRun {
  /** What was done and where it was killed, for people. */
  readonly story: string;
  readonly ended: Ended;
  readonly seconds: number;
  readonly violations: readonly string[];
  readonly applicationErrors: number;
}

const LIMIT_MS = 300_000;

const settings: ConductorOrders["settings"] = {
  canary: "on",
  mode: "autopilot",
  blockMs: 200,
  baselineMs: 1_000,
  canaryCalls: 20,
  canaryPatienceMs: 60_000,
  maintenanceWindows: [],
};

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const fileOf = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const ended = (child: ChildProcess): Promise<void> =>
  child.exitCode !== null || child.signalCode !== null
    ? Promise.resolve()
    : new Promise((resolve) => child.once("exit", () => resolve()));

/** Where the conductor is killed. `before`: the step is not committed; `unheard`: it is, and the process never knows. */
type Blow =
  | { readonly kind: "before" | "unheard" | "after"; readonly transition: number }
  | { readonly kind: "moment"; readonly afterMs: number };

const describe = (blow: Blow): string =>
  blow.kind === "moment" ? `${String(blow.afterMs)} ms` : `${blow.kind} ${String(blow.transition)}`;

/** Kills the conductor there, unless it ends before. @returns whether it was killed */
const strike = async (url: string, blow: Blow, child: ChildProcess): Promise<boolean> => {
  const end = ended(child);
  switch (blow.kind) {
    case "moment":
      await Promise.race([end, pause(blow.afterMs)]);
      break;
    case "after": {
      const listener = new pg.Client(url);
      listener.on("error", () => undefined);
      await listener.connect();
      const told = new Promise<void>((resolve) => {
        listener.on("notification", ({ payload }) => {
          if (Number(payload) >= blow.transition) resolve();
        });
      });
      await listener.query("listen bench_transition");
      await Promise.race([end, told]);
      child.kill("SIGKILL");
      await listener.end();
      break;
    }
    case "before":
    case "unheard": {
      const holder = new pg.Client(url);
      holder.on("error", () => undefined);
      await holder.connect();
      await holder.query("select pg_advisory_lock($1)", [HOLD]);
      await holder.query("insert into bench.hold values ($1)", [blow.transition]);
      while (child.exitCode === null && child.signalCode === null) {
        const { rows } = await holder.query<{ pid: number }>(
          `select pid from pg_locks where locktype = 'advisory' and objid = $1 and not granted
              and database = (select oid from pg_database where datname = current_database())`,
          [HOLD],
        );
        for (const { pid } of rows) {
          child.kill("SIGKILL");
          if (blow.kind === "before") await holder.query("select pg_terminate_backend($1)", [pid]);
        }
        await pause(5);
      }
      await holder.query("delete from bench.hold");
      await holder.end();
    }
  }
  child.kill("SIGKILL");
  await end;
  return child.signalCode === "SIGKILL";
};

/** Looks how often gated indexes were scanned, by the server's own count. */
const watchScans = (url: string): { readonly stop: () => Promise<number> } => {
  const told = new AbortController();
  const most = new Map<number, number>();
  const looking = async (): Promise<void> => {
    while (!told.signal.aborted) {
      const client = new pg.Client(url);
      client.on("error", () => undefined);
      try {
        await client.connect();
        while (!told.signal.aborted) {
          const { rows } = await client.query<{ oid: number; scans: number }>(
            "select indexrelid::int8::int as oid, idx_scan::int as scans from pg_stat_user_indexes where indexrelname ~ '_gated'",
          );
          for (const { oid, scans } of rows) most.set(oid, Math.max(scans, most.get(oid) ?? 0));
          await pause(100);
        }
      } catch {
        // The server has crashed, as the scenario wants it.
        await pause(100);
      } finally {
        await client.end().catch(() => undefined);
      }
    }
  };
  const work = looking();
  return {
    stop: async () => {
      told.abort();
      await work;
      return [...most.values()].reduce((sum, scans) => sum + scans, 0);
    },
  };
};

/** One experiment in a database of its own, from its laying down to its end. */
export const canaryRun = async (
  stage: Stage,
  scenario: Scenario,
  seed: number,
  withKills: boolean,
): Promise<CanaryRun> => {
  const random = seededRandom(seed);
  const below = (n: number): number => Math.floor(random() * n);
  const started = Date.now();
  const name = await stage.database();
  const url = stage.server.url(name);
  const orders: ConductorOrders = {
    url: stage.server.url(name, "observer"),
    buildUrl: stage.server.url(name, "builder"),
    settings: { ...settings, canaryMaxMs: scenario.maxMs },
  };
  const pilot: PilotContext = pilotFor(orders);
  await admitFollower(pilot, "app");
  await layDown(pilot, scenario);
  const ask = async <R extends object>(sql: string): Promise<readonly R[]> => {
    const client = new pg.Client(url);
    client.on("error", () => undefined);
    try {
      await client.connect();
      return (await client.query<R>(sql)).rows;
    } catch (error) {
      if (scenario.disturbance !== "crash") throw error;
      return [];
    } finally {
      await client.end().catch(() => undefined);
    }
  };
  await ask(trap);

  const tale: string[] = [];
  const violations: string[] = [];
  const reports: Report[] = [];
  let application = startApplication(stage.server.url(name, "app"), scenario, seed, reports);
  const scans = watchScans(url);
  const over = new AbortController();
  let away: Promise<void> = Promise.resolve();
  let conductor: ChildProcess | null = null;
  let blows = withKills ? 2 + below(3) : 0;

  const draw = async (): Promise<Blow> => {
    const kind = (["before", "unheard", "after", "moment"] as const)[below(4)] ?? "moment";
    if (kind === "moment") return { kind, afterMs: 1_000 + below(5_000) };
    const [row] = await ask<{ n: number }>(
      "select (case when is_called then last_value else 0 end)::int as n from bench.transition",
    );
    return { kind, transition: (row?.n ?? 0) + 1 + below(5) };
  };
  // The next one is loaded while this one works, for it takes seconds on a busy machine.
  const load = (): ChildProcess =>
    fork(fileOf("./conductor.ts"), [JSON.stringify(orders)], {
      execArgv: ["--import", "tsx"],
      stdio: ["ignore", "ignore", "pipe", "ipc"],
    });
  let waiting = load();
  const conducting = (async () => {
    while (!over.signal.aborted) {
      await away;
      const child = waiting;
      waiting = load();
      child.send("go");
      let words = "";
      child.stderr?.on("data", (text: Buffer) => (words += text.toString()));
      conductor = child;
      if (blows > 0) {
        blows -= 1;
        const blow = await draw();
        if (await strike(url, blow, child).catch(() => false)) tale.push(`killed ${describe(blow)}`);
      }
      await ended(child);
      if (child.exitCode === 0) return;
      if (child.exitCode !== null) tale.push(`conductor: ${/\w*Error: .*/.exec(words)?.[0] ?? words.slice(-300)}`);
      await pause(250);
    }
  })();

  const until = async (what: string, sql: string): Promise<void> => {
    while ((await ask(sql)).length === 0) {
      if (Date.now() - started > LIMIT_MS) throw new Error(`waited in vain until ${what}`);
      await pause(50);
    }
  };
  try {
    if (scenario.disturbance !== undefined) {
      await until("it runs", "select from indexpilot.experiment_window having count(distinct slot) >= 3");
      await disturb(scenario.disturbance, {
        pilot,
        ask,
        application: application.child,
        restart: () => {
          application = startApplication(stage.server.url(name, "app"), scenario, seed + 1, reports);
        },
        conductorAway: async (forMs) => {
          away = pause(forMs);
          conductor?.kill("SIGKILL");
          await away;
        },
      });
    }
    await until("it is over", "select from indexpilot.experiment where ended_at is not null");
  } catch (error) {
    violations.push(String(error));
    tale.push(JSON.stringify(await ask("select state, stage, deciding, end_reason from indexpilot.experiment")));
  }
  over.abort();
  if (violations.length > 0) (conductor as ChildProcess | null)?.kill("SIGKILL");
  await conducting;
  waiting.kill("SIGKILL");
  if (application.child.connected) application.child.send("stop");
  await ended(application.child);
  const scanned = await scans.stop();

  const session = new pg.Client(url);
  await session.connect();
  const names = scenario.reads.includes(lured) ? [await fingerprint(lured.sql)] : [];
  const { rows: steps } = await session.query<{ text: string }>(
    `select string_agg(state || case when state = 'running' then ' ' || stage else '' end || ' ' || round(extract(epoch from at - first)), ', ' order by n) as text
       from bench.step, (select min(at) as first from bench.step) as f`,
  );
  tale.push(`seconds: ${steps[0]?.text ?? ""}`);
  const expected = { ...scenario.expected, names: [...scenario.expected.names, ...names] };
  const { ended: end, wrong } = await check(session, expected);
  await session.end();
  violations.push(...wrong);
  const last = reports.filter((report) => report !== undefined);
  const sum = (of: (report: Report) => number): number => last.reduce((all, report) => all + of(report), 0);
  for (const { errors, differences } of last) {
    violations.push(...errors.map((text) => `the application saw an error: ${text}`));
    violations.push(...differences.map((text) => `other rows than without the hook: ${text}`));
  }
  const lost = sum((report) => report.lost);
  if (lost > 0 && scenario.disturbance !== "crash") violations.push(`the application lost ${String(lost)} connections`);
  // What was sent before a process was killed and not yet told is not known.
  const gated = sum((report) => report.gated);
  if (scenario.disturbance !== "application killed" && scanned > gated) {
    violations.push(
      `gated indexes were scanned ${String(scanned)} times by ${String(gated)} statements with their gate`,
    );
  }
  tale.push(`${String(sum((report) => report.calls))} calls, ${String(gated)} gated, ${String(scanned)} scans`);
  return {
    story: tale.join("; "),
    ended: end,
    seconds: (Date.now() - started) / 1000,
    violations,
    applicationErrors: sum((report) => report.errors.length),
  };
};

const layDown = async (pilot: PilotContext, scenario: Scenario): Promise<void> => {
  const table = { schema: "public", name: "orders" };
  const on = (columns: readonly string[]): IndexDefinition => ({
    table,
    method: "btree",
    keys: columns.map(ascending),
    include: [],
  });
  const treatment = on(scenario.treatment);
  if (scenario.control === undefined) {
    await createCanaryDeployment(pilot, { index: treatment, actor: "bench" });
    return;
  }
  const { margin, maxMs } = scenario;
  await createAbExperiment(pilot, {
    table,
    control: on(scenario.control),
    treatment,
    treatmentShare: 0.5,
    maxMs,
    ...(margin === undefined ? {} : { margin }),
    actor: "bench",
  });
};

interface Running {
  readonly child: ChildProcess;
}

const startApplication = (url: string, scenario: Scenario, seed: number, reports: Report[]): Running => {
  const orders: ApplicationOrders = {
    url,
    seed,
    reads: scenario.reads,
    writes: [{ sql: "update orders set w = w + 1 where id = $1", below: 60_000 }],
  };
  const child = fork(fileOf("./application.ts"), [JSON.stringify(orders)], {
    execArgv: ["--import", "tsx"],
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  const at = reports.length;
  child.on("message", (report: Report) => {
    reports[at] = report;
  });
  return { child };
};

interface Doing {
  readonly pilot: PilotContext;
  readonly ask: (sql: string) => Promise<readonly object[]>;
  readonly application: ChildProcess;
  readonly restart: () => void;
  readonly conductorAway: (forMs: number) => Promise<void>;
}

const disturb = async (
  what: Disturbance,
  { pilot, ask, application, restart, conductorAway }: Doing,
): Promise<void> => {
  switch (what) {
    case "reset":
      await ask("select pg_stat_statements_reset()");
      return;
    case "crash": {
      const [row] = await ask("select pid from pg_stat_activity where usename = 'app' limit 1");
      process.kill((row as { readonly pid: number }).pid, "SIGKILL");
      return;
    }
    case "ddl":
      await ask("create index concurrently others on orders (w)");
      return;
    case "application killed":
      application.kill("SIGKILL");
      await ended(application);
      restart();
      return;
    case "store lost":
      for (let i = 0; i < 3; i += 1) {
        await ask(
          "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'app' and application_name = 'indexpilot:store'",
        );
        await pause(700);
      }
      return;
    case "conductor away":
      await conductorAway(5_000);
      return;
    case "stop":
      await stop(pilot, { actor: "bench", reason: "for a moment" });
      await pause(3_000);
      await resume(pilot, { actor: "bench" });
      return;
    case "ended by a person": {
      const [row] = await ask("select id from indexpilot.experiment");
      const { id } = row as { readonly id: string };
      await endAbExperiment(pilot, { id, actor: "bench", reason: "seen enough" });
    }
  }
};
