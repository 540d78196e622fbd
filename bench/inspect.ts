/**
 * What does one look at very many indexes cost? `npm run bench:inspect [-- --indexes 10000 --major 18]`
 *
 * Makes so many indexes on a fifth as many tables, some with pages nearly empty so that there is something to say, and takes one look in a process of its own: sizes, counters, statistics, bloat,
 * and remembering it all in the store. Processor time is that process's and its backends'. Counts what was read beside the catalogue: nothing. Ends with
 * one line of JSON.
 */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { startEmbedded } from "../src/embedded/index.ts";
import { estimateBloat, readIndexFacts, sampleOf } from "../src/maintenance/index.ts";
import { openSession, readServerIdentity, resolveConnection, type Session } from "../src/postgres/index.ts";
import { systemClock } from "../src/runtime/index.ts";
import { openStore } from "../src/store/index.ts";

const { values: options } = parseArgs({
  options: {
    indexes: { type: "string", default: "10000" },
    major: { type: "string", default: "18" },
    /** Set in the process that looks: the URL of the database. */
    url: { type: "string" },
  },
});

const perTable = 5;

const fill = async (session: Session, tables: number): Promise<void> => {
  const batch = 50;
  for (let from = 0; from < tables; from += batch) {
    const some = Array.from({ length: Math.min(batch, tables - from) }, (_, i) => `t${String(from + i)}`);
    await session.script(
      some
        .map(
          (name) => `create table ${name} (id int primary key, a int, b text, c timestamp, d numeric);
            insert into ${name} select n, n % 100, 'value ' || n, now() + n * interval '1 min', n / 7.0 from generate_series(1, 1800) n;
            create index on ${name} (a) with (fillfactor = 10); create index on ${name} (b, a) with (fillfactor = 10); create index on ${name} (c desc); create index on ${name} (d) where a = 1;
            delete from ${name} where id % 40 = 0`,
        )
        .join("; "),
    );
  }
  await session.script("analyze");
};

/** User and system seconds of a process; Linux only. */
const secondsOf = (pid: number): number => {
  const fields = readFileSync(`/proc/${String(pid)}/stat`, "utf8")
    .replace(/^.*\) /s, "")
    .split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
};

const look = async (url: string): Promise<object> => {
  const target = resolveConnection(url, {});
  const session = await openSession(target, "observe");
  const storing = await openSession(target, "store");
  const now = systemClock.now();
  const store = await openStore(storing, { create: true, server: await readServerIdentity(session), now });
  const facts = await readIndexFacts(session);
  const looked = facts.map((index) => ({ index, bloat: estimateBloat(index) }));
  await store?.samples.add(looked.flatMap(({ index, bloat }) => sampleOf(index, bloat, {}, now) ?? []));
  const backends = secondsOf(session.pid) + secondsOf(storing.pid);
  const own = process.cpuUsage();
  await Promise.all([session.close(), storing.close()]);
  return {
    indexes: facts.length,
    shown: looked.filter(({ bloat }) => bloat.kind === "shown").length,
    cpuSeconds: Number(((own.user + own.system) / 1e6 + backends).toFixed(1)),
    rssMb: Math.round(process.resourceUsage().maxRSS / 1000),
  };
};

if (options.url === undefined) {
  const server = await startEmbedded({
    major: Number(options.major),
    settings: { autovacuum: "off", max_locks_per_transaction: "1024" },
  });
  try {
    const session = await openSession(resolveConnection(server.url(), {}), "build");
    await fill(session, Math.ceil(Number(options.indexes) / perTable));
    await session.close();
    const made = spawnSync(process.execPath, [...process.execArgv, process.argv[1] ?? "", "--url", server.url()], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "inherit"],
    });
    process.stdout.write(made.stdout);
  } finally {
    await server.stop();
  }
} else process.stdout.write(`${JSON.stringify(await look(options.url))}\n`);
