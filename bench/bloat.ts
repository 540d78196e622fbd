/**
 * Is bloat said right, or not at all? `npm run bench:bloat [-- --seed S] [--majors 14,15,16,17,18]`
 *
 * Churns a database of every kind of index on each major, and compares what is said of each with the truth: its pages before and after
 * REINDEX, as `pgstatindex` counts them. Beside it what `pgstatindex`'s leaf density alone would make of it, which does not see that equal keys which
 * came one by one would share entries after a REINDEX. A plain B-tree with fresh statistics has to be shown,
 * within 5 points; a figure that is further off is wrong, whatever it says beside it. Ends with one line of JSON.
 */
import { randomInt } from "node:crypto";
import { parseArgs } from "node:util";
import { startEmbedded } from "../src/embedded/index.ts";
import { countCoarse, estimateBloat, readIndexFacts } from "../src/maintenance/index.ts";
import { openSession, resolveConnection, type Session } from "../src/postgres/index.ts";
import { seededRandom, systemClock } from "../src/runtime/index.ts";
import { churn, type ChurnedIndex, churnedIndexes, settle } from "./bloat/churned.ts";

const { values: options } = parseArgs({
  options: { seed: { type: "string" }, majors: { type: "string", default: "14,15,16,17,18" } },
});
const seed = options.seed === undefined ? randomInt(1_000_000) : Number(options.seed);
const TOLERANCE = 0.05;

interface Truth {
  /** By pgstatindex's density, with what a fresh index's is; null for other methods. */
  readonly byDensity: number | null;
  readonly byRebuild: number;
}

interface Leaves {
  readonly index_size: string;
  readonly internal_pages: string;
  readonly leaf_pages: string;
  readonly avg_leaf_density: number;
}

const pagesOf = async (session: Session, name: string): Promise<number> => {
  const [row] = await session.query<{ pages: number }>("select (pg_relation_size($1::regclass) / 8192)::int as pages", [
    name,
  ]);
  return row?.pages ?? 0;
};

const truthOf = async (session: Session, { name, sql }: ChurnedIndex): Promise<Truth> => {
  const isBtree = !sql.includes(" using ");
  const leaves = async (): Promise<Leaves | undefined> =>
    isBtree ? (await session.query<Leaves>("select * from pgstatindex($1)", [name]))[0] : undefined;
  const [pages, before] = [await pagesOf(session, name), await leaves()];
  await session.script(`reindex index ${name}`);
  const [fresh, after] = [await pagesOf(session, name), await leaves()];
  const byRebuild = 1 - fresh / pages;
  if (before === undefined || after === undefined) return { byDensity: null, byRebuild };
  const needed =
    (Number(before.leaf_pages) * before.avg_leaf_density) / after.avg_leaf_density + Number(after.internal_pages) + 1;
  return { byDensity: 1 - needed / pages, byRebuild };
};

const percent = (share: number | null): string => (share === null ? "–" : `${(100 * share).toFixed(1)} %`).padStart(8);

const main = async (): Promise<void> => {
  const counts = { indexes: 0, withinFivePoints: 0, withheld: 0, shownWrong: 0, missing: 0 };
  for (const major of options.majors.split(",").map(Number)) {
    const server = await startEmbedded({ major, settings: { autovacuum: "off" } });
    try {
      const open = (): Promise<Session> => openSession(resolveConnection(server.url(), {}), "build");
      for (const live of [(one: Session) => churn(one, seededRandom(seed + major)), settle]) {
        const living = await open();
        await live(living);
        await living.close();
      }
      const session = await open();
      // On 14 counts arrive through a process of their own, a moment later.
      const arrived =
        "select from pg_stat_all_tables where relname = 'stale' and last_analyze is not null and n_mod_since_analyze > 0";
      while ((await session.query(arrived)).length === 0) await systemClock.sleep(50);
      await session.script("create extension pgstattuple");
      const facts = await readIndexFacts(session);
      const looked = facts.map((index) => ({ index, bloat: estimateBloat(index) }));
      const counted = await countCoarse(session, looked, 1e9);
      process.stdout.write(
        `PostgreSQL ${String(major)}\n  ${"index".padEnd(34)} ${"said".padStart(8)} ${"density".padStart(8)} ${"rebuilt".padStart(8)}\n`,
      );
      for (const index of churnedIndexes) {
        const found = facts.find((one) => one.name === index.name);
        if (found === undefined) throw new Error(`${index.name} was not read`);
        const said = counted.get(found.oid) ?? estimateBloat(found);
        const truth = await truthOf(session, index);
        counts.indexes += 1;
        let verdict: string;
        if (said.kind === "withheld") {
          counts.withheld += 1;
          const isMissing = index.expected === "shown";
          if (isMissing) counts.missing += 1;
          verdict = `${isMissing ? "MISSING " : ""}withheld: ${said.code}`;
        } else {
          const off = Math.abs(said.share - truth.byRebuild);
          const right = off <= TOLERANCE;
          counts[right ? "withinFivePoints" : "shownWrong"] += 1;
          verdict = right
            ? said.method === "measured"
              ? "keys counted"
              : ""
            : `WRONG by ${(100 * off).toFixed(1)} points`;
        }
        process.stdout.write(
          `  ${index.kind.padEnd(34)} ${percent(said.kind === "shown" ? said.share : null)} ${percent(truth.byDensity)} ${percent(truth.byRebuild)}  ${verdict}\n`,
        );
      }
      await session.close();
    } finally {
      await server.stop();
    }
  }
  const { missing, ...said } = counts;
  process.stdout.write(
    `seed ${String(seed)}; plain B-trees with fresh statistics not shown: ${String(missing)}\n${JSON.stringify(said)}\n`,
  );
};

await main();
