/**
 * Does the adviser give the right answer where the right answer is known? `npm run bench:truth [-- --seed S] [--major 18]`
 *
 * Plants situations in a real database, one table or two each; names, sizes and values from a fresh seed. What is right is measured: every answer of a
 * situation is really built and its traffic run, and so is the advised set. An answer is right when nothing that was tried is faster by more than
 * the tolerance, no later write fails, and, in a trap, nothing is advised and the reason given is the right one. Ends with one line of JSON.
 */
import { randomInt } from "node:crypto";
import { writeFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { IndexDefinition } from "../src/domain/index.ts";
import { startEmbedded } from "../src/embedded/index.ts";
import { type Advice, advise, liveTarget, workloadOfFiles, workloadOfTraffic } from "../src/pilot/index.ts";
import { openSession, renderCreateIndex, resolveConnection, type Session } from "../src/postgres/index.ts";
import { seededRandom, systemClock } from "../src/runtime/index.ts";
import { drawFrom, type Situation } from "./truth/situation.ts";
import { situations } from "./truth/situations.ts";

const { values: options } = parseArgs({
  options: {
    seed: { type: "string" },
    major: { type: "string", default: "18" },
    only: { type: "string" },
  },
});

const seed = options.seed === undefined ? randomInt(1_000_000) : Number(options.seed);
/** Advised may be slower than the best that was tried by this share, and by this much in all, before it counts as wrong: noise of the machine. */
const toleranceShare = 0.3;
const toleranceMs = 4;
/** What an index must bring to be worth having: the gate's own rule. */
const worthwhile = 0.2;
const repetitions = 4;

const quiet = { clock: systemClock, signal: new AbortController().signal, emit: () => undefined };

const fill = async (session: Session, all: readonly Situation[]): Promise<void> => {
  await session.script("create extension pg_trgm; create extension pg_stat_statements");
  for (const situation of all) await session.script(situation.setup);
  await session.script("vacuum analyze");
  for (const { tables } of all) await session.script(`grant all on ${tables.join(", ")} to app`);
  await session.script("grant usage on all sequences in schema public to app");
};

const run = async (session: Session, { traffic }: Situation): Promise<number> => {
  const started = systemClock.monotonicMs();
  await session.script(`begin; ${traffic.join("; ")}; rollback`);
  return systemClock.monotonicMs() - started;
};

/** Milliseconds of the traffic with these indexes, the fastest of some runs; and whether the later write fails. */
const measure = async (
  session: Session,
  situation: Situation,
  ddl: readonly string[],
): Promise<{ ms: number; fails: boolean }> => {
  const before = await indexNames(session);
  for (const statement of ddl) await session.script(statement);
  let ms = Number.POSITIVE_INFINITY;
  for (let i = 0; i < repetitions; i += 1) {
    await session.script(`vacuum analyze ${situation.tables.join(", ")}`);
    ms = Math.min(ms, await run(session, situation));
  }
  const fails = situation.laterWrite === undefined ? false : !(await succeeds(session, situation.laterWrite));
  for (const name of await indexNames(session))
    if (!before.has(name)) await session.script(`drop index if exists ${name}`);
  return { ms, fails };
};

const succeeds = async (session: Session, write: string): Promise<boolean> => {
  try {
    await session.script(`begin; ${write}; rollback`);
    return true;
  } catch {
    await session.script("rollback");
    return false;
  }
};

const indexNames = async (session: Session): Promise<Set<string>> => {
  const rows = await session.query<{ name: string }>(
    "select c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relkind in ('i', 'I') and not c.relispartition and n.nspname = 'public'",
  );
  return new Set(rows.map((row) => row.name));
};

interface Answer {
  readonly situation: string;
  readonly expected: string;
  readonly advised: string;
  readonly right: boolean;
  readonly why: string;
}

const shown = (definition: IndexDefinition): string =>
  renderCreateIndex(definition, null, { concurrently: false }).replace(/^create index on \S+ using /, "");

const judge = async (session: Session, situation: Situation, advice: Advice): Promise<Answer> => {
  const { create, drop, declined } = advice.configuration;
  const mine = (table: { readonly name: string }): boolean => situation.tables.includes(table.name);
  const advised = create.map((one) => one.index.definition).filter((one) => mine(one.table));
  const dropped = drop.filter((one) => mine(one.table)).map((one) => one.index.name);
  const codes = new Set(declined.filter((one) => mine(one.definition.table)).map((one) => one.code));

  const none = await measure(session, situation, []);
  const tried: { name: string; ms: number }[] = [{ name: "nothing", ms: none.ms }];
  for (const [name, ddl] of Object.entries(situation.answers)) {
    const result = await measure(session, situation, ddl);
    if (!result.fails) tried.push({ name, ms: result.ms });
  }
  const best = tried.reduce((a, b) => (b.ms < a.ms ? b : a));
  const isWorth = best.ms < none.ms * (1 - worthwhile);
  const label = isWorth ? best : { name: "nothing", ms: none.ms };
  const result = await measure(
    session,
    situation,
    advised.map((one) => renderCreateIndex(one, null, { concurrently: false })),
  );

  const problems: string[] = [];
  if (result.fails) problems.push("a later write fails");
  if (situation.trap !== undefined) {
    if (advised.length > 0) problems.push("advised where nothing should be");
    if (![...codes].some((code) => new RegExp(`^(${situation.trap ?? ""})$`).test(code))) {
      problems.push(`declined with ${[...codes].join(", ") || "no reason"}`);
    }
  } else {
    if (label.name === "nothing" && advised.length > 0) problems.push("measured, no index is worth it");
    if (result.ms > label.ms * (1 + toleranceShare) + toleranceMs) problems.push("slower than the best");
    const rendered = advised.map(shown).join("; ");
    if (situation.mustMatch !== undefined && !situation.mustMatch.test(rendered)) problems.push("another kind");
  }
  for (const name of situation.drops ?? []) if (!dropped.includes(name)) problems.push(`kept ${name}`);
  for (const name of dropped) if (!(situation.drops ?? []).includes(name)) problems.push(`dropped ${name}`);
  if (options.only !== undefined) {
    for (const one of declined.filter((each) => mine(each.definition.table))) {
      process.stdout.write(`   ${one.code} ${shown(one.definition)}: ${one.reason}\n`);
    }
  }
  const times = `${none.ms.toFixed(0)} → ${label.ms.toFixed(0)} best, ${result.ms.toFixed(0)} advised`;
  return {
    situation: situation.name,
    expected: situation.trap === undefined ? label.name : `nothing (${situation.trap}); measured ${label.name}`,
    advised: [...advised.map(shown), ...dropped.map((name) => `drop ${name}`)].join("; ") || "nothing",
    right: problems.length === 0,
    why: [times, ...problems].join("; "),
  };
};

const main = async (): Promise<void> => {
  const draw = drawFrom(seededRandom(seed));
  const all = situations(draw).filter((one) => options.only === undefined || one.name.includes(options.only));
  const server = await startEmbedded({
    major: Number(options.major),
    settings: { autovacuum: "off", jit: "off", shared_buffers: "256MB", "pg_stat_statements.max": "10000" },
  });
  const directory = mkdtempSync(join(tmpdir(), "truth-"));
  try {
    const admin = await openSession(resolveConnection(server.url(), {}), "build");
    await admin.script("create role app login; create role observer login in role pg_monitor, pg_read_all_data");
    await fill(admin, all);
    const application = await openSession(resolveConnection(server.url("postgres", "app"), {}), "build");
    await admin.script("select pg_stat_statements_reset()");
    for (const situation of all) if (situation.asFiles !== true) await run(application, situation);
    await admin.script("vacuum analyze");

    const context = {
      ...quiet,
      observe: resolveConnection(server.url("postgres", "observer"), {}),
      build: resolveConnection(server.url("postgres"), {}),
    };
    const observe = await openSession(context.observe, "observe");
    const common = { ...quiet, budgetBytes: 10_000_000_000, whatIf: "shadow" as const, maxColumns: 3 };
    const ask = (workload: Parameters<typeof liveTarget>[1]): Promise<Advice> =>
      advise({ ...common, source: liveTarget(observe, workload) });
    const byTraffic = all.every((one) => one.asFiles === true)
      ? null
      : await ask(workloadOfTraffic(context, observe, { observeMs: null, seed }));
    const literal = all.filter((one) => one.asFiles === true);
    for (const [number, { traffic }] of literal.entries()) {
      writeFileSync(join(directory, `${String(number)}.sql`), traffic.join(";\n"));
    }
    const byFiles =
      literal.length === 0
        ? null
        : await ask(workloadOfFiles(observe, { queries: [join(directory, "*.sql")], exclude: [], seed }));

    for (const [id, reason] of [...(byTraffic?.failed ?? []), ...(byFiles?.failed ?? [])]) {
      process.stdout.write(`not planned: ${id}: ${reason}\n`);
    }
    const answers: Answer[] = [];
    for (const situation of all) {
      const advice = situation.asFiles === true ? byFiles : byTraffic;
      if (advice === null) continue;
      const answer = await judge(admin, situation, advice);
      answers.push(answer);
      process.stdout.write(
        `${answer.right ? "right" : "WRONG"}  ${answer.situation.padEnd(38)} expected ${answer.expected.padEnd(24)} advised ${answer.advised}   [${answer.why}]\n`,
      );
    }
    for (const session of [admin, application, observe]) await session.close();
    process.stdout.write(`seed ${String(seed)}\n`);
    process.stdout.write(
      `${JSON.stringify({ cases: answers.length, right: answers.filter((answer) => answer.right).length })}\n`,
    );
  } finally {
    rmSync(directory, { recursive: true });
    await server.stop();
  }
};

await main();
