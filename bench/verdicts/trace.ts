/** Real latencies, recorded from an embedded server at each run: several sessions at once, statements from microseconds to tens of milliseconds. */
import { startEmbedded } from "../../src/embedded/index.ts";
import { openSession, resolveConnection } from "../../src/postgres/index.ts";
import { type Random, seededRandom, systemClock } from "../../src/runtime/index.ts";

/** One call, in the order in which they ended. */
export interface TracedCall {
  /** Of the trace; a transaction is a unit. */
  readonly unit: number;
  readonly statement: string;
  /** When it began, ms from the start of the trace. */
  readonly at: number;
  readonly ms: number;
}

const rows = 300_000;
const statements: Readonly<Record<string, (random: Random) => readonly [string, readonly unknown[]]>> = {
  point: (random) => ["select * from item where id = $1", [1 + Math.floor(rows * random())]],
  // Widths over three orders of magnitude: most are short, a few take a hundred times as long.
  range: (random) => {
    const width = Math.floor(20 * (1 - random()) ** (-1 / 1.2));
    const from = Math.floor(rows * random());
    return ["select count(*), max(note) from item where id between $1 and $2", [from, from + Math.min(width, 30_000)]];
  },
  update: (random) => ["update item set touched = touched + 1 where id = $1", [1 + Math.floor(rows * random())]],
};
const mix = ["point", "point", "point", "range", "range", "update"] as const;

export const recordTrace = async (seconds: number, seed: number): Promise<readonly TracedCall[]> => {
  const server = await startEmbedded({ major: 18, settings: { synchronous_commit: "off" } });
  try {
    const target = resolveConnection(server.url(), {});
    const setUp = await openSession(target, "build");
    await setUp.script(
      `create table item (id bigint primary key, touched int not null default 0, note text);
       insert into item select i, 0, repeat(md5(i::text), 3) from generate_series(1, ${String(rows)}) i;
       analyze item`,
    );
    await setUp.close();
    const calls: TracedCall[] = [];
    const start = systemClock.monotonicMs();
    let unit = 0;
    const client = async (random: Random): Promise<void> => {
      const session = await openSession(target, "build");
      while (systemClock.monotonicMs() - start < seconds * 1000) {
        unit += 1;
        const own = unit;
        const length = 1 + Math.floor(4 * random());
        await session.query("begin");
        for (let i = 0; i < length; i += 1) {
          const statement = mix[Math.floor(mix.length * random())] ?? "point";
          const [sql, values] = (statements[statement] ?? (() => ["select 1", []] as const))(random);
          const began = systemClock.monotonicMs();
          await session.query(sql, values);
          calls.push({ unit: own, statement, at: began - start, ms: systemClock.monotonicMs() - began });
        }
        await session.query("commit");
      }
      await session.close();
    };
    await Promise.all([1, 2, 3, 4].map((n) => client(seededRandom(seed * 101 + n))));
    return calls;
  } finally {
    await server.stop();
  }
};
