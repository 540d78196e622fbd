/**
 * Does the adviser give the right answer where the right answer is known? `npm run bench:truth [-- --seed S] [--major 18]`
 *
 * Plants situations in a real database, one table or two each; names, sizes and values from a fresh seed. What is right is measured: every answer of a
 * situation is really built and its traffic run, and so is the advised set. An answer is right when nothing that was tried is faster by more than
 * the tolerance, no later write fails, and, in a trap, nothing is advised and the reason given is the right one. Ends with one line of JSON.
 */
import { randomInt } from "node:crypto";
import { parseArgs } from "node:util";
import type { IndexDefinition } from "../src/domain/index.ts";
import type { Advice } from "../src/pilot/index.ts";
import { renderCreateIndex, type Session } from "../src/postgres/index.ts";
import { seededRandom } from "../src/runtime/index.ts";
import { runTraffic, withPlanted } from "./truth/planted.ts";
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

interface Measured {
  readonly ms: number;
  /** The indexes as the server writes them: what makes two sets the same. */
  readonly text: string;
  /** Whether the later write fails. */
  readonly fails: boolean;
}

/** The traffic with these indexes, the fastest of some runs. */
const measure = async (session: Session, situation: Situation, ddl: readonly string[]): Promise<Measured> => {
  const before = await indexNames(session);
  for (const statement of ddl) await session.script(statement);
  const fresh = [...(await indexNames(session))].filter((name) => !before.has(name));
  const definitions = await session.query<{ text: string }>(
    "select regexp_replace(pg_get_indexdef(n::regclass), '^.* ON ', '') as text from unnest($1::text[]) n order by 1",
    [fresh],
  );
  let ms = Number.POSITIVE_INFINITY;
  for (let i = 0; i < repetitions; i += 1) {
    await session.script(`vacuum analyze ${situation.tables.join(", ")}`);
    ms = Math.min(ms, await runTraffic(session, situation));
  }
  const fails = situation.laterWrite === undefined ? false : !(await succeeds(session, situation.laterWrite));
  for (const name of fresh) await session.script(`drop index if exists ${name} cascade`);
  return { ms, text: JSON.stringify(definitions), fails };
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

/** Without those of partitions. */
const indexNames = async (session: Session): Promise<ReadonlySet<string>> => {
  const rows = await session.query<{ name: string }>(
    `select c.relname as name from pg_class c
      where c.relkind in ('i', 'I') and not c.relispartition and c.relnamespace = 'public'::regnamespace`,
  );
  return new Set(rows.map(({ name }) => name));
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
  };
};

const main = async (): Promise<void> => {
  const draw = drawFrom(seededRandom(seed));
  const all = situations(draw).filter((one) => options.only === undefined || one.name.includes(options.only));
  const answers = await withPlanted(
    { major: Number(options.major), seed, all },
    async ({ session, advices, adviceFor }) => {
      for (const [id, reason] of advices.flatMap((advice) => [...advice.failed])) {
        process.stdout.write(`not planned: ${id}: ${reason}\n`);
      }
      const judged: Answer[] = [];
      for (const situation of all) {
        const answer = await judge(session, situation, adviceFor(situation));
        judged.push(answer);
        process.stdout.write(
          `${answer.right ? "right" : "WRONG"}  ${answer.situation.padEnd(38)} expected ${answer.expected.padEnd(24)} advised ${answer.advised}   [${answer.why}]\n`,
        );
      }
      return judged;
    },
  );
  process.stdout.write(`PostgreSQL ${options.major}, seed ${String(seed)}\n`);
  process.stdout.write(
    `${JSON.stringify({ cases: answers.length, right: answers.filter((answer) => answer.right).length })}\n`,
  );
};

await main();
