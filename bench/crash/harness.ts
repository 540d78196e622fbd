import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import pg from "pg";
import { type EmbeddedServer, startEmbedded } from "../../src/embedded/index.ts";
import { openSession, readServerIdentity, resolveConnection } from "../../src/postgres/index.ts";
import { seededRandom } from "../../src/runtime/index.ts";
import { openStore } from "../../src/store/index.ts";
import { check } from "./checker.ts";

const program = fileURLToPath(new URL("../../bin/indexpilot.js", import.meta.url));

/** Key of the advisory lock in which a transition is held. */
const HOLD = 471_147;
/** So long a command may take when nobody kills it. */
const LIMIT_MS = 60_000;

/** A server with an application at work, and a plan of two indexes for it. */
export interface Stage {
  readonly server: EmbeddedServer;
  readonly session: pg.Client;
  /** Its statements that failed, so far. */
  readonly failures: readonly string[];
  readonly plan: string;
  close(): Promise<void>;
}

export interface CrashRun {
  readonly seed: number;
  /** What was done and where it was killed, for people. */
  readonly story: string;
  readonly violations: readonly string[];
}

const schema = `
  create extension pg_stat_statements;
  create table t (id integer primary key, v integer not null, w integer not null, note text not null default 'some words');
  insert into t select g, g % 20000, g % 777 from generate_series(1, 150000) g;
  create index stranger on t (note);
  create table pair (a integer);
  insert into pair values (1), (1);
  analyze`;

/** What the harness itself adds to the store: a place where any transition can be held before its commit, and told after it. */
const trap = `
  create schema crash;
  create table crash.hold (transition bigint);
  create function crash.step() returns trigger language plpgsql set search_path = pg_catalog as $$
  declare n bigint := (select count(*) from indexpilot.deployment_event);
  begin
    perform pg_notify('crash_step', n::text);
    if exists (select from crash.hold where transition = n) then perform pg_advisory_xact_lock(${String(HOLD)}); end if;
    return new;
  end $$;
  create trigger step after insert on indexpilot.deployment_event for each row execute function crash.step()`;

/** Starts one server and all that a run needs of it; runs follow one another in it. */
export const openStage = async (major: number): Promise<Stage> => {
  const server = await startEmbedded({ major });
  const directory = mkdtempSync(join(tmpdir(), "ip-crash-"));
  const session = new pg.Client(server.url());
  await session.connect();
  await session.query(schema);
  // A build of somebody else's that failed: looks like debris, and is not ours.
  await session.query("create unique index concurrently stranger_failed on pair (a)").catch(() => undefined);
  writeFileSync(join(directory, "v.sql"), "select id from t where v = 17\n");
  writeFileSync(join(directory, "w.sql"), "select id from t where w = 17 and id < 500\n");
  const plan = join(directory, "plan.json");
  const advised = await run(
    ["advise", "--url", server.url(), "--queries", join(directory, "*.sql"), "--out", plan],
    null,
  );
  if (advised !== 0) throw new Error("there is no plan to carry out");
  const { failures, stop } = startApplication(server.url());
  return {
    server,
    session,
    failures,
    plan,
    close: async () => {
      await stop();
      await session.end();
      await server.stop();
      rmSync(directory, { recursive: true });
    },
  };
};

const startApplication = (
  url: string,
): { readonly failures: readonly string[]; readonly stop: () => Promise<void> } => {
  const failures: string[] = [];
  const told = new AbortController();
  const work = (async () => {
    const client = new pg.Client(url);
    await client.connect();
    for (let i = 0; !told.signal.aborted; i += 1) {
      const failed = (error: unknown): void => void failures.push(String(error));
      await client.query("select id from t where v = $1", [i % 20_000]).catch(failed);
      await client.query("update t set w = w + 1 where id = $1", [1 + (i % 150_000)]).catch(failed);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await client.end();
  })();
  return {
    failures,
    stop: async () => {
      told.abort();
      await work;
    },
  };
};

/** Where a process is killed. */
type Blow =
  | { readonly kind: "before" | "after"; readonly transition: number }
  | { readonly kind: "moment"; readonly afterMs: number };

const describe = (blow: Blow): string =>
  blow.kind === "moment"
    ? `killed after ${String(blow.afterMs)} ms`
    : `killed ${blow.kind} transition ${String(blow.transition)}`;

const started = (args: readonly string[]): ChildProcess =>
  spawn(process.execPath, [program, ...args], { stdio: "ignore", env: { ...process.env, NO_COLOR: "1" } });

const ended = (child: ChildProcess): Promise<number | null> =>
  new Promise((resolve) => child.once("exit", (code) => resolve(code)));

/** Runs the command, to its end or until `strike` has killed it. @returns its exit code, null where it was killed */
const run = async (
  args: readonly string[],
  strike: ((child: ChildProcess) => Promise<void>) | null,
): Promise<number | null> => {
  const child = started(args);
  const end = ended(child);
  const limit = setTimeout(() => child.kill("SIGKILL"), LIMIT_MS);
  await Promise.race([end, strike?.(child)].filter((one) => one !== undefined));
  const code = await end;
  clearTimeout(limit);
  return code;
};

const strike = async (stage: Stage, blow: Blow, child: ChildProcess): Promise<void> => {
  const end = ended(child);
  switch (blow.kind) {
    case "moment":
      await Promise.race([end, new Promise((resolve) => setTimeout(resolve, blow.afterMs))]);
      child.kill("SIGKILL");
      return;
    case "after": {
      const listener = new pg.Client(stage.server.url());
      await listener.connect();
      const told = new Promise<void>((resolve) => {
        listener.on("notification", ({ payload }) => {
          if (Number(payload) < blow.transition) return;
          child.kill("SIGKILL");
          resolve();
        });
      });
      await listener.query("listen crash_step");
      await Promise.race([end, told]);
      await listener.end();
      return;
    }
    case "before": {
      const holder = new pg.Client(stage.server.url());
      await holder.connect();
      await holder.query("select pg_advisory_lock($1)", [HOLD]);
      await holder.query("insert into crash.hold values ($1)", [blow.transition]);
      const waiting = async (): Promise<boolean> =>
        (await holder.query("select from pg_locks where locktype = 'advisory' and objid = $1 and not granted", [HOLD]))
          .rows.length > 0;
      while (child.exitCode === null && child.signalCode === null) {
        if (await waiting()) child.kill("SIGKILL");
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      await holder.query("delete from crash.hold");
      await holder.end();
    }
  }
};

const reset = async ({ session, server }: Stage): Promise<void> => {
  await session.query("drop schema if exists indexpilot cascade; drop schema if exists crash cascade");
  const { rows } = await session.query<{ name: string }>(
    "select indexrelid::regclass::text as name from pg_index where indrelid = 't'::regclass and indexrelid::regclass::text not in ('stranger', 't_pkey')",
  );
  for (const { name } of rows) await session.query(`drop index ${name}`);
  const own = await openSession(resolveConnection(server.url(), {}), "store");
  await openStore(own, {
    create: true,
    server: await readServerIdentity(own),
    now: new Date(),
    acceptInstallation: false,
  });
  await own.close();
  await session.query(trap);
};

// The shortest that may be asked for.
const soon = ["--baseline", "100ms", "--block", "100ms"];

/** One deployment's life, killed once to four times at places drawn by the seed, then left in peace until it has ended. */
export const crashRun = async (stage: Stage, seed: number): Promise<CrashRun> => {
  const random = seededRandom(seed);
  const below = (n: number): number => Math.floor(random() * n);
  const url = ["--url", stage.server.url()];
  const apply = ["apply", stage.plan, ...url, "--yes", ...soon];
  await reset(stage);
  const tale: string[] = [];
  const seen = stage.failures.length;
  const draw = async (most: number): Promise<Blow> => {
    const kind = (["before", "after", "moment"] as const)[below(3)] ?? "moment";
    if (kind === "moment") return { kind, afterMs: 250 + below(100 * most) };
    const { rows } = await stage.session.query<{ n: number }>(
      "select count(*)::int as n from indexpilot.deployment_event",
    );
    return { kind, transition: (rows[0]?.n ?? 0) + 1 + below(most) };
  };
  /** @param most so many transitions it has, about */
  const blows = async (args: readonly string[], word: string, most: number): Promise<void> => {
    for (let left = 1 + below(3); left > 0; left -= 1) {
      const blow = await draw(most);
      const code = await run(args, (child) => strike(stage, blow, child));
      tale.push(
        `${word} ${code === null ? describe(blow) : `ended with ${String(code)} before it could be ${describe(blow)}`}`,
      );
    }
  };
  // A rollback ends with 5 where there is nothing left to take back.
  const inPeace = async (args: readonly string[], word: string): Promise<void> => {
    for (let i = 0; i < 5; i += 1) {
      const code = await run(args, null);
      tale.push(`${word} ended with ${String(code)}`);
      if (code === 5 || code === 0) return;
    }
  };
  await blows(apply, "apply", 9);
  await inPeace(apply, "apply");
  const back = below(2) === 0;
  if (back) {
    const { rows } = await stage.session.query<{ name: string }>(
      "select index_name as name from indexpilot.deployment where state in ('verifying', 'settled') order by created_at limit 1",
    );
    const [first] = rows;
    if (first !== undefined) {
      const rollback = ["rollback", first.name, ...url, "--yes"];
      await blows(rollback, "rollback", 2);
      await inPeace(rollback, "rollback");
    }
  }
  await inPeace(["verify", ...url, "--block", "100ms", "--wait", "100ms"], "verify");
  const violations = await check(stage.session, { rolledBack: back });
  const failed = stage.failures.slice(seen).map((text) => `a statement of the application failed: ${text}`);
  return { seed, story: tale.join("; "), violations: [...violations, ...failed] };
};
