import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import pg from "pg";
import { type EmbeddedServer, startEmbedded } from "../../src/embedded/index.ts";
import { openSession, readServerIdentity, resolveConnection } from "../../src/postgres/index.ts";
import { trackIndexVersions } from "../../src/rollout/index.ts";
import { seededRandom, systemClock } from "../../src/runtime/index.ts";
import { openStore } from "../../src/store/index.ts";
import { check, type Expected } from "./checker.ts";

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
  create table u (id integer primary key, v integer not null, w integer not null);
  insert into u select g, g % 20000, g % 777 from generate_series(1, 150000) g;
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
      await client.query("update u set w = w + 1 where id = $1", [1 + (i % 150_000)]).catch(failed);
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

/** Two versions of `x` on `u`, somebody else's: the second stands. */
const shapes = [
  ["create index x on u (v)", "create index x on u (v, w)"],
  ["create unique index x on u (id) where v < 10000", "create index x on u (abs(w)) include (v)"],
  ["alter table u add constraint x unique (id, v)", "alter table u add constraint x unique (id, w)"],
  ["alter table u add constraint x unique (id, v)", "create index x on u (v, w)"],
] as const;

type Shape = Expected["x"];

/** Empties the store, and makes `x` twice, with a look at each. @returns the two versions */
const reset = async ({ session, server }: Stage, shape: (typeof shapes)[number]): Promise<readonly [Shape, Shape]> => {
  await session.query("drop schema if exists indexpilot cascade; drop schema if exists crash cascade");
  const drop = async (table: string, keep: readonly string[]): Promise<void> => {
    const { rows } = await session.query<{ name: string; constrained: boolean }>(
      `select i.indexrelid::regclass::text as name, exists (select from pg_constraint where conindid = i.indexrelid) as constrained
         from pg_index i where i.indrelid = $1::regclass and i.indexrelid::regclass::text <> all ($2)`,
      [table, keep],
    );
    for (const { name, constrained } of rows) {
      await session.query(constrained ? `alter table ${table} drop constraint ${name}` : `drop index ${name}`);
    }
  };
  await drop("t", ["stranger", "t_pkey"]);
  const own = await openSession(resolveConnection(server.url(), {}), "store");
  const looking = await openSession(resolveConnection(server.url(), {}), "build");
  const options = { create: true, server: await readServerIdentity(own), now: new Date(), acceptInstallation: false };
  const store = await openStore(own, options);
  if (store === null) throw new Error("the store was not made");
  const seen: Shape[] = [];
  for (const sql of shape) {
    await drop("u", ["u_pkey"]);
    await session.query(sql);
    await trackIndexVersions(looking, store, systemClock);
    const { rows } = await session.query<Shape>(
      `select pg_get_indexdef('x'::regclass) as definition,
              (select pg_get_constraintdef(oid) from pg_constraint where conindid = 'x'::regclass) as constraint`,
    );
    seen.push(...rows);
  }
  await own.close();
  await looking.close();
  await session.query(trap);
  const [first, second] = seen;
  if (first === undefined || second === undefined) throw new Error("x was not made");
  return [first, second];
};

/** Looks all the time whether `x` is there and valid. @returns how often it was not */
const watchX = (url: string): { readonly stop: () => Promise<number> } => {
  const told = new AbortController();
  const work = (async () => {
    const client = new pg.Client(url);
    await client.connect();
    let gaps = 0;
    while (!told.signal.aborted) {
      const { rows } = await client.query(
        "select from pg_index i join pg_class c on c.oid = i.indexrelid where i.indrelid = 'u'::regclass and c.relname = 'x' and i.indisvalid",
      );
      if (rows.length !== 1) gaps += 1;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await client.end();
    return gaps;
  })();
  return {
    stop: () => {
      told.abort();
      return work;
    },
  };
};

// The shortest that may be asked for.
const soon = ["--baseline", "100ms", "--block", "100ms"];

/** What is killed: a plan of two indexes and their taking back, the same with one built again, an index replaced, an index rebuilt. */
export const lives = ["create", "again", "replace", "reindex"] as const;
export type Life = (typeof lives)[number];

/** One life, killed one to three times at places drawn by the seed at each of its commands, then left in peace until it has ended. */
export const crashRun = async (
  stage: Stage,
  seed: number,
  life: Life = lives[seed % lives.length] ?? "create",
): Promise<CrashRun> => {
  const random = seededRandom(seed);
  const below = (n: number): number => Math.floor(random() * n);
  const url = ["--url", stage.server.url()];
  const apply = ["apply", stage.plan, ...url, "--yes", ...soon];
  const [before, after] = await reset(stage, shapes[below(shapes.length)] ?? shapes[0]);
  const tale: string[] = [life];
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
  const inPeace = async (args: readonly string[], word: string, ends: readonly number[]): Promise<void> => {
    for (let i = 0; i < 20; i += 1) {
      const code = await run(args, null);
      tale.push(`${word} ended with ${String(code)}`);
      if (code !== null && ends.includes(code)) return;
      // The backend of a process that was killed may go on, and keeps the lock.
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
  };
  const killed = async (args: readonly string[], word: string, most: number, ends: readonly number[]) => {
    await blows(args, word, most);
    await inPeace(args, word, ends);
  };
  /** The name of an index of ours that stands. */
  const ours = async (): Promise<string | undefined> => {
    const { rows } = await stage.session.query<{ name: string }>(
      "select index_name as name from indexpilot.deployment where state in ('verifying', 'settled') order by created_at limit 1",
    );
    return rows[0]?.name;
  };
  let expected: Expected = { standing: 0, x: after };
  const watch = watchX(stage.server.url());
  switch (life) {
    case "create":
    case "again": {
      await killed(apply, "apply", 9, [0, 5]);
      expected = { ...expected, standing: 2 };
      const name = life === "again" || below(2) === 0 ? await ours() : undefined;
      if (name === undefined) break;
      // It ends with 5 where there is nothing left to take back.
      await killed(["rollback", name, ...url, "--yes"], "rollback", 2, [0, 5]);
      expected = { ...expected, standing: 1 };
      if (life === "create") break;
      await killed(["rollback", name, "--to", "1", ...url, "--yes"], "rollback --to 1", 6, [0]);
      expected = { ...expected, standing: 2 };
      break;
    }
    case "replace":
      await killed(["rollback", "x", "--to", "1", "--not-ours", ...url, "--yes"], "rollback --to 1", 6, [0]);
      expected = { ...expected, x: before };
      break;
    case "reindex": {
      let name: string | undefined;
      if (below(2) === 0) {
        await inPeace(apply, "apply", [0]);
        expected = { ...expected, standing: 2 };
        name = await ours();
      }
      await killed(["reindex", name ?? "x", ...url, "--yes"], "reindex", 5, [0]);
    }
  }
  await inPeace(["verify", ...url, "--block", "100ms", "--wait", "100ms"], "verify", [0, 5]);
  const gaps = await watch.stop();
  const violations = await check(stage.session, expected);
  if (gaps > 0) violations.push(`x was missing or invalid at ${String(gaps)} looks`);
  const failed = stage.failures.slice(seen).map((text) => `a statement of the application failed: ${text}`);
  return { seed, story: tale.join("; "), violations: [...violations, ...failed] };
};
