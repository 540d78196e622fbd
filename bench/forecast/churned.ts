import { startEmbedded } from "../../src/embedded/index.ts";
import { estimateBloat, type Observation, readIndexFacts } from "../../src/maintenance/index.ts";
import { openSession, resolveConnection, type Session } from "../../src/postgres/index.ts";
import type { Random } from "../../src/runtime/index.ts";

const DAY_MS = 86_400_000;

/** How a table lives. Each has its own size, rates and days. */
export const churnShapes = [
  "random updates",
  "vacuum now and then",
  "writes of the week",
  "reindexed meanwhile",
  "old rows deleted",
] as const;
export type ChurnShape = (typeof churnShapes)[number];

/** What the estimator said of one index, once a day; another `fileNode` after a reindex. */
export interface ChurnedSeries {
  readonly shape: ChurnShape;
  readonly looks: readonly (Observation & { readonly fileNode: number })[];
}

interface Living {
  readonly name: string;
  readonly shape: ChurnShape;
  /** Shares of the rows that are updated, and that are deleted and inserted, on a day of the usual. */
  readonly updates: number;
  readonly turnover: number;
  readonly growth: number;
  /** How likely a vacuum is on a day. */
  readonly vacuums: number;
  readonly reindexedOn: number | null;
}

/** Monday first. */
const week = [1, 1.2, 1.3, 1.2, 1, 0.2, 0.1];

const between = (random: Random, low: number, high: number): number => low * (high / low) ** random();

const row = (n: string): string =>
  `${n}, (random() * 1e15)::bigint, 'C' || lpad((random() * 1e12)::bigint::text, 13, '0')`;

const beginLife = async (
  session: Session,
  name: string,
  shape: ChurnShape,
  days: number,
  random: Random,
): Promise<Living> => {
  const rows = Math.round(between(random, 25_000, 60_000));
  await session.script(`create table ${name} (id bigint primary key, key bigint, code text);
    insert into ${name} select ${row("n")} from generate_series(1, ${String(rows)}) n;
    create index ${name}_key on ${name} (key); create index ${name}_code on ${name} (code);
    create sequence ${name}_ids start ${String(rows + 1)}`);
  return {
    name,
    shape,
    updates: shape === "old rows deleted" ? 0 : between(random, 0.002, 0.03),
    turnover: between(random, 0.001, shape === "old rows deleted" ? 0.03 : 0.008),
    growth: 0.003 * random(),
    vacuums: shape === "vacuum now and then" ? between(random, 0.15, 0.5) : 1,
    reindexedOn: shape === "reindexed meanwhile" ? Math.floor(days * (0.1 + 0.5 * random())) : null,
  };
};

const liveADay = async (session: Session, one: Living, day: number, random: Random): Promise<void> => {
  const { name, shape } = one;
  const busy = (shape === "writes of the week" ? (week[day % 7] ?? 1) : 1) * (0.8 + 0.4 * random());
  const some = (share: number): string => (share * busy).toFixed(6);
  // Deletes are of the older rows where that is the shape, as expiry does it: spread over their first half.
  const which = shape === "old rows deleted" ? `and id < (select max(id) / 2 from ${name})` : "";
  await session.script(`
    update ${name} set key = (random() * 1e15)::bigint, code = 'C' || lpad((random() * 1e12)::bigint::text, 13, '0') where random() < ${some(one.updates)};
    insert into ${name} select ${row(`nextval('${name}_ids')`)} from generate_series(1, (select reltuples * ${some(one.turnover + one.growth)} from pg_class where oid = '${name}'::regclass)::int);
    delete from ${name} where random() < ${some(one.turnover)} ${which};
    select pg_stat_force_next_flush()`);
  if (one.reindexedOn === day) await session.query(`reindex table ${name}`);
  await session.query(random() < one.vacuums ? `vacuum analyze ${name}` : `analyze ${name}`);
};

/**
 * Lives so many days with so many tables of each shape on a real server, the calendar moved on by hand, and lets the estimator look at all indexes once a day.
 * Three series for each table: sequential, random and text keys.
 */
export const churnedSeries = async (
  random: Random,
  { tables, days }: { readonly tables: number; readonly days: number },
): Promise<readonly ChurnedSeries[]> => {
  const server = await startEmbedded({ major: 18, settings: { autovacuum: "off" } });
  try {
    const session = await openSession(resolveConnection(server.url(), {}), "build");
    await session.query(`select setseed(${String(random())})`);
    const living: Living[] = [];
    for (let i = 0; i < tables * churnShapes.length; i += 1) {
      const shape = churnShapes[i % churnShapes.length] ?? churnShapes[0];
      living.push(await beginLife(session, `t${String(i)}`, shape, days, random));
    }
    await session.script("vacuum analyze");
    const series = new Map<
      string,
      { readonly shape: ChurnShape; readonly looks: (Observation & { fileNode: number })[] }
    >();
    for (let day = 0; day < days; day += 1) {
      for (const one of living) await liveADay(session, one, day, random);
      for (const index of await readIndexFacts(session)) {
        const shape = living.find(({ name }) => name === index.table)?.shape;
        const bloat = estimateBloat(index);
        if (shape === undefined || bloat.kind === "withheld") continue;
        const known = series.get(index.name) ?? { shape, looks: [] };
        series.set(index.name, known);
        known.looks.push({ at: new Date(day * DAY_MS), value: bloat.share, fileNode: index.fileNode });
      }
    }
    await session.close();
    return [...series.values()];
  } finally {
    await server.stop();
  }
};
