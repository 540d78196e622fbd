/**
 * What does a shadow of many tables cost? `npm run bench:import -- [--tables 1000] [--columns 10] [--major 18]`
 *
 * Fills a server with really analysed tables, each with a primary key, a second index and one statement of its own; then does what `advise` does
 * before it searches: reads the catalogue and the end points, rebuilds all in a shadow, and compares every statement's plan with the target's own.
 * Counts the processor's seconds of this process, of the shadow's server and of the target. Linux only (/proc). The last line is JSON.
 */
import { readdirSync, readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { startEmbedded } from "../src/embedded/index.ts";
import { openSession, readCatalog, resolveConnection } from "../src/postgres/index.ts";
import { readEndPoints, startShadow } from "../src/shadow/index.ts";
import { calibrate, explainOnTarget } from "../src/whatif/index.ts";

const { values: options } = parseArgs({
  options: {
    tables: { type: "string", default: "1000" },
    columns: { type: "string", default: "10" },
    major: { type: "string", default: "18" },
  },
});
const tables = Number(options.tables);
const columns = Number(options.columns);

const TICKS_PER_SECOND = 100;

interface Process {
  readonly pid: number;
  readonly parent: number;
  /** Its own seconds, and those of the children that it has waited for. */
  readonly seconds: number;
}

const processes = (): readonly Process[] =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        // proc(5): the command's name is in parentheses and may hold anything; after it, state is field 3.
        const text = readFileSync(`/proc/${name}/stat`, "utf8");
        const fields = text
          .slice(text.lastIndexOf(")") + 2)
          .split(" ")
          .map(Number);
        const ticks = [11, 12, 13, 14].reduce((sum, at) => sum + (fields[at] ?? 0), 0);
        return [{ pid: Number(name), parent: fields[1] ?? 0, seconds: ticks / TICKS_PER_SECOND }];
      } catch (error) {
        if ((error as { code?: unknown }).code === "ENOENT" || (error as { code?: unknown }).code === "ESRCH")
          return [];
        throw error;
      }
    });

/** Everything below this process. */
const descendants = (): readonly Process[] => {
  const all = processes();
  const below = (pid: number): Process[] => {
    const children = all.filter((one) => one.parent === pid);
    return [...children, ...children.flatMap((child) => below(child.pid))];
  };
  return below(process.pid);
};

const secondsOf = (some: readonly Process[]): number => some.reduce((sum, one) => sum + one.seconds, 0);

const target = await startEmbedded({ major: Number(options.major), settings: { autovacuum: "off" } });
try {
  const session = await openSession(resolveConnection(target.url(), {}), "build");
  const list = Array.from({ length: columns - 1 }, (_, i) => i);
  const types = ["integer", "text", "timestamptz", "numeric(10,2)", "bigint", "boolean"];
  const value = (i: number): string =>
    [
      `g % ${String(10 + i * 7)}`,
      `'value ' || g % ${String(100 + i)}`,
      `timestamptz '2024-01-01' + g * interval '1 hour'`,
      `g * ${String(i + 1)} / 7.0`,
      `g * ${String(1000 + i)}`,
      "g % 2 = 0",
    ][i % 6] ?? "null";
  for (let t = 0; t < tables; t += 1) {
    const name = `t${String(t)}`;
    await session.script(`
      create table ${name} (id integer primary key, ${list.map((i) => `c${String(i)} ${types[i % 6] ?? "integer"}`).join(", ")});
      create index on ${name} (c0, c2);
      insert into ${name} select g, ${list.map(value).join(", ")} from generate_series(1, 500) g`);
  }
  await session.script("vacuum analyze");
  const servers = new Set(descendants().map((one) => one.pid));

  const statements = Array.from({ length: tables }, (_, t) => {
    const sql = `select a.c1, b.c2 from t${String(t)} a join t${String((t * 7 + 1) % tables)} b on b.id = a.c0 where a.c0 = ${String(t % 10)} order by a.c2 limit 10`;
    return {
      statement: {
        id: String(t),
        fingerprint: "0".repeat(16),
        queryId: null,
        label: String(t),
        text: sql,
        verb: "select" as const,
        scope: { role: "postgres", searchPath: ["public"] },
        calls: 1,
        totalMs: 1,
        rowsPerCall: null,
        bindings: [{ sql, share: 1, source: "literal" as const }],
      },
      calibrationSql: [sql],
    };
  });

  const before = process.cpuUsage();
  const targetBefore = secondsOf(descendants().filter((one) => servers.has(one.pid)));
  const began = performance.now();
  const catalog = await readCatalog(session);
  const planner = await startShadow(catalog, { endPoints: await readEndPoints(session, catalog, new Map()) });
  const imported = performance.now();
  const calibrations = await calibrate({
    target: explainOnTarget(session, new Map()),
    role: "postgres",
    planner,
    statements,
  });
  const ended = performance.now();
  const { user, system } = process.cpuUsage(before);
  const own = (user + system) / 1e6;
  const after = descendants();
  const shadow = secondsOf(after.filter((one) => !servers.has(one.pid)));
  const onTarget = secondsOf(after.filter((one) => servers.has(one.pid))) - targetBefore;
  const trusted = calibrations.filter((one) => one.confidence === "trusted").length;
  await planner.close();
  await session.close();

  const row = (name: string, seconds: number): void => {
    process.stdout.write(`${name.padEnd(44)}${seconds.toFixed(1).padStart(7)} s\n`);
  };
  process.stdout.write(
    `${String(tables)} tables of ${String(columns)} columns, ${String(tables)} statements, PostgreSQL ${options.major}\n`,
  );
  row("processor: this process", own);
  row("processor: the shadow's server", shadow);
  row("processor: the target", onTarget);
  row("elapsed: catalogue and shadow", (imported - began) / 1000);
  row("elapsed: calibration", (ended - imported) / 1000);
  process.stdout.write(`trusted: ${String(trusted)} of ${String(calibrations.length)}\n`);
  process.stdout.write(
    `${JSON.stringify({ tables, columns, cpuSeconds: own + shadow, targetCpuSeconds: onTarget, trusted })}\n`,
  );
} finally {
  await target.stop();
}
