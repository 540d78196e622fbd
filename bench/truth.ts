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
import { defaults } from "../src/config/index.ts";
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

interface Measured {
  readonly ms: number;
  /** Shared blocks that some of the reads touch. */
  readonly buffers: number;
  /** Of each index in `ddl`, its partitions' indexes included. */
  readonly bytes: readonly number[];
  /** The indexes as the server writes them: what makes two sets the same. */
  readonly text: string;
  /** Whether the later write fails. */
  readonly fails: boolean;
}

/** The traffic with these indexes, the fastest of some runs. */
const measure = async (session: Session, situation: Situation, ddl: readonly string[]): Promise<Measured> => {
  const before = await indexSizes(session);
  const known = new Set(before.keys());
  const bytes: number[] = [];
  for (const statement of ddl) {
    await session.script(statement);
    const fresh = [...(await indexSizes(session))].filter(([name]) => !known.has(name));
    bytes.push(fresh.reduce((sum, [, size]) => sum + size, 0));
    for (const [name] of fresh) known.add(name);
  }
  const fresh = [...known].filter((name) => !before.has(name));
  const definitions = await session.query<{ text: string }>(
    "select regexp_replace(pg_get_indexdef(n::regclass), '^.* ON ', '') as text from unnest($1::text[]) n order by 1",
    [fresh],
  );
  let ms = Number.POSITIVE_INFINITY;
  for (let i = 0; i < repetitions; i += 1) {
    await session.script(`vacuum analyze ${situation.tables.join(", ")}`);
    ms = Math.min(ms, await run(session, situation));
  }
  const reads = situation.traffic.filter((statement) => statement.startsWith("select")).slice(0, 5);
  let buffers = 0;
  for (const read of reads) buffers += await buffersOf(session, read);
  const fails = situation.laterWrite === undefined ? false : !(await succeeds(session, situation.laterWrite));
  for (const name of fresh) await session.script(`drop index if exists ${name} cascade`);
  return { ms, buffers, bytes, text: JSON.stringify(definitions), fails };
};

const buffersOf = async (session: Session, read: string): Promise<number> => {
  const [row] = await session.query<{ "QUERY PLAN": readonly { readonly Plan: Record<string, number> }[] }>(
    `explain (analyze, buffers, format json) ${read}`,
  );
  const plan = row?.["QUERY PLAN"][0]?.Plan;
  return (plan?.["Shared Hit Blocks"] ?? 0) + (plan?.["Shared Read Blocks"] ?? 0);
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

/** Bytes by name; a partitioned index counts its parts. */
const indexSizes = async (session: Session): Promise<Map<string, number>> => {
  const rows = await session.query<{ name: string; bytes: string }>(
    `select c.relname as name, (select sum(pg_relation_size(t.relid)) from pg_partition_tree(c.oid) t)::text as bytes
       from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where c.relkind = 'I' and not c.relispartition and n.nspname = 'public'
     union all
     select c.relname, pg_relation_size(c.oid)::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where c.relkind = 'i' and not c.relispartition and n.nspname = 'public'`,
  );
  return new Map(rows.map(({ name, bytes }) => [name, Number(bytes)]));
};

interface Answer {
  readonly situation: string;
  readonly expected: string;
  readonly advised: string;
  readonly right: boolean;
  readonly why: string;
  /** The advised indexes, as they were when built: which the draw of twenty is from. */
  readonly built: readonly Built[];
}

interface Built {
  readonly text: string;
  readonly isPlain: boolean;
  readonly predictedBytes: number;
  readonly bytes: number;
  readonly improves: boolean;
}

const shown = (definition: IndexDefinition): string =>
  renderCreateIndex(definition, null, { concurrently: false }).replace(/^create index on \S+ using /, "");

const isPlain = ({ method, keys, where }: IndexDefinition): boolean =>
  method === "btree" && where === undefined && keys.every((key) => key.expression === undefined);

const sample = 20;
const sizeTolerance = 0.2;

/** Of up to twenty advised indexes, drawn by the seed: whether what they are for became faster, and how large they are. */
const reportBuilt = (answers: readonly Answer[]): void => {
  const random = seededRandom(seed);
  const drawn = answers
    .flatMap((answer) => answer.built)
    .map((one) => ({ one, place: random() }))
    .toSorted((a, b) => a.place - b.place)
    .slice(0, sample)
    .map(({ one }) => one);
  const plain = drawn.filter((one) => one.isPlain);
  const deviation = ({ predictedBytes, bytes }: Built): number => Math.abs(predictedBytes / Math.max(bytes, 1) - 1);
  for (const one of drawn) {
    const isOff = one.isPlain && deviation(one) > sizeTolerance;
    if (one.improves && !isOff) continue;
    process.stdout.write(
      `  ${one.text}: ${one.improves ? "" : "no faster; "}${String(one.predictedBytes)} bytes predicted, ${String(one.bytes)} found\n`,
    );
  }
  process.stdout.write(
    `of ${String(drawn.length)} advised indexes drawn and built, ${String(drawn.filter((one) => one.improves).length)} save time and blocks; ` +
      `${String(plain.filter((one) => deviation(one) <= sizeTolerance).length)} of ${String(plain.length)} plain B-trees are within 20 % of the predicted size\n`,
  );
};

const judge = async (session: Session, situation: Situation, advice: Advice): Promise<Answer> => {
  const { create, drop, declined } = advice.configuration;
  const mine = (table: { readonly name: string }): boolean => situation.tables.includes(table.name);
  const chosen = create.map((one) => one.index).filter((one) => mine(one.definition.table));
  const advised = chosen.map((one) => one.definition);
  const dropped = drop.filter((one) => mine(one.table)).map((one) => one.index.name);
  const codes = new Set(declined.filter((one) => mine(one.definition.table)).map((one) => one.code));

  const none = await measure(session, situation, []);
  const tried: { name: string; ms: number; text: string }[] = [{ name: "nothing", ms: none.ms, text: none.text }];
  for (const [name, ddl] of Object.entries(situation.answers)) {
    const result = await measure(session, situation, ddl);
    if (!result.fails) tried.push({ name, ms: result.ms, text: result.text });
  }
  const best = tried.reduce((a, b) => (b.ms < a.ms ? b : a));
  const isWorth = best.ms < none.ms * (1 - worthwhile);
  const label = isWorth ? best : { name: "nothing", ms: none.ms, text: none.text };
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
    const isSame = result.text === label.text;
    if (!isSame && result.ms > label.ms * (1 + toleranceShare) + toleranceMs) problems.push("slower than the best");
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
    built: chosen.map(({ definition, estimatedBytes }, i) => ({
      text: `${situation.name}: ${shown(definition)}`,
      isPlain: isPlain(definition),
      predictedBytes: estimatedBytes,
      bytes: result.bytes[i] ?? 0,
      improves: result.ms < none.ms && result.buffers < none.buffers,
    })),
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
      settings: defaults,
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
    reportBuilt(answers);
    process.stdout.write(`PostgreSQL ${options.major}, seed ${String(seed)}\n`);
    process.stdout.write(
      `${JSON.stringify({ cases: answers.length, right: answers.filter((answer) => answer.right).length })}\n`,
    );
  } finally {
    rmSync(directory, { recursive: true });
    await server.stop();
  }
};

await main();
