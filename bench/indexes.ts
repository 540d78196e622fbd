/**
 * Do advised indexes help the queries they were advised for, and are they as large as was said? `npm run bench:indexes [-- --seed S] [--count 20]`
 *
 * Plants the situations of `bench:truth`, asks for advice, and draws so many of the advised indexes by the seed, of every kind in turn. Each is really
 * built, alone, and each query that it is claimed for is run before and after: blocks touched, and the fastest of some runs. On 15 and on 18. An
 * index is right when both are less in all, and a plain B-tree also when its size is within a fifth of the prediction. Ends with one line of JSON.
 */
import { randomInt } from "node:crypto";
import { parseArgs } from "node:util";
import { type ChosenIndex, type IndexDefinition } from "../src/domain/index.ts";
import { sizeRangeOf } from "../src/pilot/index.ts";
import { renderCreateIndex, type Session } from "../src/postgres/index.ts";
import { seededRandom } from "../src/runtime/index.ts";
import { fingerprintOf } from "../src/sql/index.ts";
import { type Planted, withPlanted } from "./truth/planted.ts";
import { drawFrom, type Situation } from "./truth/situation.ts";
import { situations } from "./truth/situations.ts";

const { values: options } = parseArgs({
  options: {
    seed: { type: "string" },
    count: { type: "string", default: "20" },
    majors: { type: "string", default: "15,18" },
  },
});

const seed = options.seed === undefined ? randomInt(1_000_000) : Number(options.seed);
const repetitions = 3;
/** So many of the queries that an index is claimed for are run. */
const mostQueries = 12;
const sizeTolerance = 0.2;

const kindOf = ({ method, keys, include, where }: IndexDefinition): string =>
  [
    method,
    ...(keys.some((key) => key.expression !== undefined) ? ["expression"] : []),
    ...(keys.some((key) => key.opclass !== undefined) && method === "btree" ? ["opclass"] : []),
    ...(include.length > 0 ? ["include"] : []),
    ...(where === undefined ? [] : ["partial"]),
    ...(method === "btree" && keys.length > 1 ? ["composite"] : []),
  ].join(" ");

interface Drawn {
  readonly situation: Situation;
  readonly chosen: ChosenIndex;
}

/** One of each kind, then another of each, as long as there are any; within a kind by chance. */
const drawOverKinds = (all: readonly Drawn[], count: number): readonly Drawn[] => {
  const random = seededRandom(seed);
  const shuffled = all.map((one) => ({ one, place: random() })).toSorted((a, b) => a.place - b.place);
  const kinds = new Map<string, Drawn[]>();
  for (const { one } of shuffled) {
    const kind = kindOf(one.chosen.index.definition);
    kinds.set(kind, [...(kinds.get(kind) ?? []), one]);
  }
  const rounds = Math.max(...[...kinds.values()].map((some) => some.length));
  return Array.from({ length: rounds }, (_, i) => [...kinds.values()].flatMap((some) => some[i] ?? []))
    .flat()
    .slice(0, count);
};

/** The situation's own texts, values and all, of the statements that the index is for. */
const claimedQueries = ({ situation, chosen }: Drawn, { adviceFor }: Planted): readonly string[] => {
  const claimed = new Set(
    adviceFor(situation)
      .workload.statements.filter(({ id }) => chosen.statementIds.includes(id))
      .map(({ fingerprint }) => fingerprint),
  );
  const texts = new Set(situation.traffic.filter((text) => claimed.has(fingerprintOf(text) ?? "")));
  return [...texts].slice(0, mostQueries);
};

interface Execution {
  readonly ms: number;
  readonly blocks: number;
}

interface Explained {
  readonly "Execution Time": number;
  readonly Plan: Readonly<Record<string, number>>;
}

/** One query's blocks and its fastest time; a write is rolled back. */
const execute = async (session: Session, sql: string): Promise<Execution> => {
  let ms = Number.POSITIVE_INFINITY;
  let blocks = 0;
  for (let i = 0; i < repetitions; i += 1) {
    const [, explained] = await session.script<{ "QUERY PLAN": readonly Explained[] }>(
      `begin; explain (analyze, buffers, timing off, format json) ${sql}; rollback`,
    );
    const [answer] = explained?.[0]?.["QUERY PLAN"] ?? [];
    ms = Math.min(ms, answer?.["Execution Time"] ?? Number.POSITIVE_INFINITY);
    blocks = (answer?.Plan["Shared Hit Blocks"] ?? 0) + (answer?.Plan["Shared Read Blocks"] ?? 0);
  }
  return { ms, blocks };
};

const executeAll = async (session: Session, queries: readonly string[]): Promise<Execution> => {
  let [ms, blocks] = [0, 0];
  for (const query of queries) {
    const one = await execute(session, query);
    ms += one.ms;
    blocks += one.blocks;
  }
  return { ms, blocks };
};

interface Proof extends Drawn {
  readonly queries: number;
  readonly before: Execution;
  readonly after: Execution;
  /** Of all its partitions' parts. */
  readonly bytes: number;
}

const prove = async (planted: Planted, drawn: Drawn): Promise<Proof> => {
  const { session } = planted;
  const { definition } = drawn.chosen.index;
  const queries = claimedQueries(drawn, planted);
  const tidy = `vacuum analyze ${drawn.situation.tables.join(", ")}`;
  await session.script(tidy);
  const before = await executeAll(session, queries);
  const text = renderCreateIndex(definition, null, { concurrently: false });
  await session.script(text.replace(/^create index /i, "create index proved "));
  await session.script(tidy);
  const after = await executeAll(session, queries);
  const [size] = await session.query<{ bytes: string }>(
    `select (pg_relation_size('proved') + coalesce((select sum(pg_relation_size(relid)) from pg_partition_tree('proved')
        where relid <> 'proved'::regclass), 0))::text as bytes`,
  );
  await session.script("drop index proved");
  return { ...drawn, queries: queries.length, before, after, bytes: Number(size?.bytes ?? 0) };
};

const improves = ({ before, after }: Proof): boolean => after.ms < before.ms && after.blocks < before.blocks;

const isPlain = ({ chosen }: Drawn): boolean => /^btree( composite)?$/.test(kindOf(chosen.index.definition));

const deviation = ({ chosen, bytes }: Proof): number => chosen.index.estimatedBytes / Math.max(bytes, 1) - 1;

const isWithin = (proof: Proof): boolean => Math.abs(deviation(proof)) <= sizeTolerance;

const show = (proof: Proof): void => {
  const { chosen, situation, queries, before, after, bytes } = proof;
  const range = sizeRangeOf(chosen.index);
  const size = isPlain(proof)
    ? isWithin(proof)
      ? ""
      : " (more than a fifth off)"
    : ` (stated ${String(range.low)} to ${String(range.high)}${bytes < range.low || bytes > range.high ? ", and is not" : ""})`;
  process.stdout.write(
    `${improves(proof) ? "yes" : "NO "} ${kindOf(chosen.index.definition).padEnd(26)} ${situation.name.padEnd(30)} ` +
      `${`${String(queries)} queries`.padStart(10)} ${before.ms.toFixed(2).padStart(9)} → ${after.ms.toFixed(2).padStart(7)} ms ` +
      `${String(before.blocks).padStart(7)} → ${String(after.blocks).padStart(6)} blocks ` +
      `${String(chosen.index.estimatedBytes).padStart(9)} said, ${String(bytes).padStart(9)} found ${(deviation(proof) * 100).toFixed(0).padStart(4)} %${size}\n`,
  );
};

const main = async (): Promise<void> => {
  const results = [];
  for (const major of options.majors.split(",").map(Number)) {
    const all = situations(drawFrom(seededRandom(seed)));
    const proofs = await withPlanted({ major, seed, all }, async (planted) => {
      const advised = all.flatMap((situation) =>
        planted
          .adviceFor(situation)
          .configuration.create.filter(({ index }) => situation.tables.includes(index.definition.table.name))
          .map((chosen) => ({ situation, chosen })),
      );
      const drawn = drawOverKinds(advised, Number(options.count));
      process.stdout.write(
        `PostgreSQL ${String(major)}: ${String(drawn.length)} of ${String(advised.length)} advised indexes\n`,
      );
      const made: Proof[] = [];
      for (const one of drawn) {
        const proof = await prove(planted, one);
        show(proof);
        made.push(proof);
      }
      return made;
    });
    const plain = proofs.filter(isPlain);
    results.push({
      major,
      indexes: proofs.length,
      improved: proofs.filter(improves).length,
      plain: plain.length,
      plainWithinFifth: plain.filter(isWithin).length,
    });
  }
  process.stdout.write(`seed ${String(seed)}\n${JSON.stringify({ seed, majors: results })}\n`);
};

await main();
