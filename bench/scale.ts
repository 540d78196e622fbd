/**
 * Does the analysis keep up with a large database? `npm run bench:scale [-- --tables 10000 --statements 100000 --seed 1 --major 18]`
 *
 * Makes a real database of so many tables, puts so many statements where pg_stat_statements shows them, and runs what `advise` does before it
 * searches: catalogue, workload, candidates, and the shadow of the tables that matter. Then the same with half of both. Each run is a process of its
 * own. Processor time is ours and the shadow server's, memory our highest. Ends with one line of JSON.
 */
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { defaults } from "../src/config/index.ts";
import { generateCandidates } from "../src/candidates/index.ts";
import { startEmbedded } from "../src/embedded/index.ts";
import { liveTarget, readSubject, workloadOfTraffic } from "../src/pilot/index.ts";
import { openSession, resolveConnection, type Session } from "../src/postgres/index.ts";
import { seededRandom, systemClock } from "../src/runtime/index.ts";
import { type ShadowPlanner, startShadow } from "../src/shadow/index.ts";
import { loadParser } from "../src/sql/index.ts";
import { makeTables, type MadeTable, schemaNames, setupOf } from "./scale/schema.ts";
import { makeStatements, type MadeStatement } from "./scale/statements.ts";

const { values: options } = parseArgs({
  options: {
    tables: { type: "string", default: "10000" },
    statements: { type: "string", default: "100000" },
    seed: { type: "string", default: "1" },
    major: { type: "string", default: "18" },
    /** Set in the process that analyses: the URL of the database. */
    url: { type: "string" },
  },
});

const seed = Number(options.seed);

const fillTables = async (session: Session, tables: readonly MadeTable[]): Promise<void> => {
  await session.script(schemaNames.map((name) => `create schema ${name}`).join("; "));
  // Each script is one transaction, whose locks must fit.
  const batch = 100;
  for (let from = 0; from < tables.length; from += batch) {
    const some = tables.slice(from, from + batch);
    await session.script(some.map((table) => setupOf(table, tables)).join("; "));
  }
  await session.script("analyze");
};

/** A table in the place of the extension's view: every look at it takes the same way as in a real database. */
const fillStatements = async (session: Session, statements: readonly MadeStatement[]): Promise<void> => {
  await session.script(`
    create extension pg_stat_statements;
    alter extension pg_stat_statements drop view pg_stat_statements;
    create table made as select * from pg_stat_statements limit 0;
    drop view pg_stat_statements;
    alter table made rename to pg_stat_statements;
    create role application login`);
  const batch = 5_000;
  for (let from = 0; from < statements.length; from += batch) {
    await session.query(
      `insert into pg_stat_statements (userid, dbid, toplevel, queryid, query, calls, total_exec_time, stddev_exec_time, rows,
              shared_blks_hit, shared_blks_read, temp_blks_read, temp_blks_written, wal_bytes)
       select 'application'::regrole, d.oid, true, s.id, s.text, s.calls, s."totalMs", 0, s.rows, 0, 0, 0, 0, 0
         from jsonb_to_recordset($1) as s (id bigint, text text, calls bigint, "totalMs" float8, rows bigint), pg_database d
        where d.datname = current_database()`,
      [JSON.stringify(statements.slice(from, from + batch).map((one, at) => ({ ...one, id: from + at + 1 })))],
    );
  }
};

interface Measured {
  readonly tables: number;
  readonly statements: number;
  readonly cpuSeconds: number;
  readonly rssMb: number;
}

/** User and system seconds of a process and of those children it has waited for; Linux only. */
const secondsOf = (pid: string): number => {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
    .replace(/^.*\) /s, "")
    .split(" ");
  return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) / 100;
};

/** Processor seconds of a server so far, its present backends included. */
const serverSeconds = (postmaster: string): number => {
  let sum = secondsOf(postmaster);
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const parent = readFileSync(`/proc/${pid}/stat`, "utf8")
        .replace(/^.*\) /s, "")
        .split(" ")[1];
      if (parent === postmaster) sum += secondsOf(pid);
    } catch {
      // It has ended meanwhile.
    }
  }
  return sum;
};

const postmasterOf = async (planner: ShadowPlanner): Promise<string> => {
  const session = await openSession(planner.connection(), "build");
  const [row] = await session.query<{ pid: string }>(
    "select split_part(pg_read_file('postmaster.pid'), chr(10), 1) as pid",
  );
  await session.close();
  return row?.pid ?? "";
};

/** What one process does: analyse, and say what that took. */
const analyse = async (url: string): Promise<Measured> => {
  const target = resolveConnection(url, {});
  const signal = new AbortController().signal;
  let last = process.cpuUsage();
  const step = (name: string): void => {
    const used = process.cpuUsage(last);
    last = process.cpuUsage();
    const seconds = (used.user + used.system) / 1e6;
    const megabytes = process.resourceUsage().maxRSS / 1000;
    process.stderr.write(
      `  ${name.padEnd(46)} ${seconds.toFixed(1).padStart(6)} s, ${megabytes.toFixed(0)} MB so far\n`,
    );
  };
  const context = {
    observe: target,
    build: target,
    settings: defaults,
    clock: systemClock,
    signal,
    emit: () => undefined,
  };
  const session = await openSession(target, "observe");
  const source = liveTarget(session, workloadOfTraffic(context, session, { observeMs: null, seed }));
  const subject = await readSubject(source, (event) => step(`until: ${event.text}`), signal);
  step(
    `${String(subject.planned.tables.length)} tables and ${String(subject.workload.statements.length)} statements to plan`,
  );
  const { candidates } = generateCandidates({
    statements: subject.workload.statements.map((statement) => ({
      statementId: statement.id,
      accesses: subject.accesses.get(statement.id) ?? [],
      weight: statement.totalMs ?? statement.calls,
    })),
    catalog: subject.planned,
  });
  step(`${String(candidates.length)} candidates`);
  const endPoints = await source.readEndPoints(subject.planned);
  step(`${String(endPoints.length)} end points`);
  const planner = await startShadow(subject.planned, { endPoints });
  const shadowSeconds = serverSeconds(await postmasterOf(planner));
  step(`import into the shadow, beside ${shadowSeconds.toFixed(1)} s of its server`);
  await planner.close();
  await session.close();
  const { user, system } = process.cpuUsage();
  return {
    tables: subject.catalog.tables.length,
    statements: subject.workload.statements.length + (subject.workload.minor ?? []).length,
    cpuSeconds: (user + system) / 1e6 + shadowSeconds,
    rssMb: process.resourceUsage().maxRSS / 1000,
  };
};

const measure = async (tableCount: number, statementCount: number): Promise<Measured> => {
  await loadParser();
  const random = seededRandom(seed);
  const tables = makeTables(tableCount, random);
  const server = await startEmbedded({
    major: Number(options.major),
    settings: { autovacuum: "off", synchronous_commit: "off", shared_buffers: "512MB", max_wal_size: "4GB" },
  });
  try {
    const session = await openSession(resolveConnection(server.url(), {}), "build");
    const started = systemClock.monotonicMs();
    await fillTables(session, tables);
    await fillStatements(session, makeStatements(statementCount, tables, random));
    await session.close();
    process.stderr.write(
      `${String(tableCount)} tables, ${String(statementCount)} statements, made in ${((systemClock.monotonicMs() - started) / 1000).toFixed(0)} s\n`,
    );
    const child = spawnSync(
      process.execPath,
      [...process.execArgv, import.meta.filename, "--url", server.url(), "--seed", String(seed)],
      { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] },
    );
    if (child.status !== 0) throw new Error("the analysis failed");
    return JSON.parse(child.stdout) as Measured;
  } finally {
    await server.stop();
  }
};

const main = async (): Promise<void> => {
  if (options.url !== undefined) {
    process.stdout.write(JSON.stringify(await analyse(options.url)));
    return;
  }
  const [tables, statements] = [Number(options.tables), Number(options.statements)];
  const half = await measure(Math.round(tables / 2), Math.round(statements / 2));
  const whole = await measure(tables, statements);
  for (const one of [half, whole]) {
    process.stdout.write(
      `${String(one.tables)} tables, ${String(one.statements)} statements: ${one.cpuSeconds.toFixed(1)} s of processor, ${one.rssMb.toFixed(0)} MB\n`,
    );
  }
  const { cpuSeconds, rssMb } = whole;
  const ratio = cpuSeconds / half.cpuSeconds;
  process.stdout.write(`${JSON.stringify({ tables, statements, cpuSeconds, rssMb, ratio })}\n`);
};

await main();
