/**
 * Is every index judged right? `npm run bench:lifecycle [-- --seed S] [--majors 15,18]`
 *
 * Plants a zoo of indexes on a real server with a real standby: used and unused in every way, guarantees, duplicates and all that only look like one,
 * invalid ones, one that is being built; names, sizes and order by the seed. The past is put into the store as looks of ours. Then asks for the health, with
 * the standby and without it: then nothing may be called unused. Right means the standing and the words of the reason. Ends with one line of JSON.
 */
import { randomInt, randomUUID } from "node:crypto";
import { parseArgs } from "node:util";
import { defaults } from "../src/config/index.ts";
import { ascending, type IndexSample } from "../src/domain/index.ts";
import { startEmbedded } from "../src/embedded/index.ts";
import { checkHealth, type HealthReport, type PilotContext } from "../src/pilot/index.ts";
import { openSession, readServerIdentity, resolveConnection, type Session } from "../src/postgres/index.ts";
import { proposeIndex } from "../src/rollout/index.ts";
import { seededRandom, systemClock } from "../src/runtime/index.ts";
import { openStore } from "../src/store/index.ts";
import { startStandby } from "../test/surfaces/standby.ts";
import { type Animal, makeZoo } from "./lifecycle/zoo.ts";

const { values: options } = parseArgs({
  options: { seed: { type: "string" }, majors: { type: "string", default: "15,18" } },
});
const seed = options.seed === undefined ? randomInt(1_000_000) : Number(options.seed);
const DAY_MS = 86_400_000;

interface Found {
  readonly oid: number;
  readonly table_oid: number;
  readonly name: string;
  readonly scans: string;
}

const find = (session: Session): Promise<Found[]> =>
  session.query<Found>(
    `select x.indexrelid as oid, x.indrelid as table_oid, i.relname as name, coalesce(pg_stat_get_numscans(i.oid), 0)::text as scans
       from pg_index x join pg_class i on i.oid = x.indexrelid where i.relnamespace = 'public'::regnamespace`,
  );

const until = async (what: string, condition: () => Promise<boolean>): Promise<void> => {
  for (const deadline = systemClock.monotonicMs() + 120_000; !(await condition()); await systemClock.sleep(50)) {
    if (systemClock.monotonicMs() > deadline) throw new Error(`waited in vain until ${what}`);
  }
};

/** Scans an index by a look-up of its first column, until the server has counted it. */
const scan = async (open: () => Promise<Session>, { index, table }: Animal): Promise<void> => {
  const session = await open();
  await session.script(
    `set enable_seqscan = off; set enable_bitmapscan = off; select count(*) from "${table}" where a = 3`,
  );
  await session.close();
  await until(`${index} was scanned`, async () => {
    const watcher = await open();
    const found = (await find(watcher)).find(({ name }) => name === index);
    await watcher.close();
    return Number(found?.scans ?? 0) > 0;
  });
};

const pastOf = ({ past }: Animal, { oid, scans }: Found, node: string, now: Date): IndexSample[] => {
  const longest = { quiet: 45, "quiet for 20 days": 20, "once a month": 45, none: 0 }[past];
  const days = Array.from({ length: 10 }, (_, i) => 45 - 5 * i).filter((day) => day <= longest);
  return days.map((day) => ({
    at: new Date(now.getTime() - day * DAY_MS),
    indexOid: oid,
    fileNode: 1,
    sizeBytes: 1,
    neededBytes: null,
    entries: null,
    bloat: null,
    scans: past === "once a month" && day <= 10 ? Number(scans) : 0,
    replicaScans: { [node]: 0 },
    tableWrites: 0,
    updates: 0,
    hotUpdates: 0,
  }));
};

interface Tally {
  cases: number;
  right: number;
}

const compare = (animals: readonly Animal[], report: HealthReport, withStandby: boolean, tally: Tally): void => {
  const found = new Map(report.indexes.map(({ judgement }) => [judgement.name, judgement]));
  for (const animal of animals) {
    const isHidden = !withStandby && (animal.expected === "unused" || animal.scannedOn === "standby");
    if (!withStandby && !isHidden) continue;
    const judged = found.get(animal.index);
    const expected = isHidden ? "unused_not_proved" : animal.expected;
    const because = isHidden ? "standbys were not looked at" : animal.because;
    const isRight = judged?.standing === expected && judged.reason.includes(because);
    tally.cases += 1;
    if (isRight) tally.right += 1;
    process.stdout.write(
      `${isRight ? "yes" : "NO "} ${`${animal.kind}${withStandby ? "" : ", standby not given"}`.padEnd(62)} ${judged?.standing ?? "not found"}: ${judged?.reason ?? ""}${isRight ? "" : ` (expected ${expected})`}\n`,
    );
  }
};

const judgeOn = async (major: number, tally: Tally): Promise<void> => {
  const zoo = makeZoo(seededRandom(seed + major));
  const server = await startEmbedded({ major, settings: { autovacuum: "off" } });
  const url = (user: string, port = server.port): string =>
    server.url("postgres", user).replace(`:${String(server.port)}/`, `:${String(port)}/`);
  const openAt = (port?: number) => () => openSession(resolveConnection(url("postgres", port), {}), "build");
  const open = openAt();
  const admin = await open();
  await admin.script(
    "create role watcher login in role pg_monitor, pg_read_all_data; create extension pg_trgm; create extension pg_stat_statements",
  );
  for (const script of zoo.setup) await admin.script(script);
  await admin.script("analyze");
  const standby = await startStandby(server);
  const writer = await open();
  const builder = await open();
  let building: Promise<unknown> = Promise.resolve();
  try {
    for (const animal of zoo.animals) {
      if (animal.scannedOn === "primary") await scan(open, animal);
      if (animal.scannedOn === "standby") await scan(openAt(standby.port), animal);
      if (animal.begins?.kind === "failing") await admin.query(animal.begins.sql).catch(() => undefined);
      if (animal.begins?.kind === "blocked") {
        await writer.script(`begin; insert into ${zoo.blockedTable} (id, v) values (-1, 'x')`);
        building = builder.query(animal.begins.sql);
        await until(
          "the build waits",
          async () => (await admin.query("select from pg_stat_progress_create_index")).length > 0,
        );
      }
    }
    const now = systemClock.now();
    const storing = await openSession(resolveConnection(url("postgres"), {}), "store");
    const store = await openStore(storing, { create: true, server: await readServerIdentity(storing), now });
    if (store === null) throw new Error("no store");
    await admin.script("grant usage on schema indexpilot to watcher");
    const observe = resolveConnection(url("watcher"), {});
    const observeHost = observe.host;
    const indexes = new Map((await find(admin)).map((one) => [one.name, one]));
    for (const animal of zoo.animals) {
      const found = indexes.get(animal.index);
      if (found === undefined) continue;
      await store.samples.add(pastOf(animal, found, `${observeHost}:${String(standby.port)}`, now));
      if (animal.ours !== true) continue;
      const definition = {
        table: { schema: "public", name: animal.table },
        method: "btree",
        keys: [ascending("b")],
        include: [],
      } as const;
      const rationale = { statementIds: [], costBefore: null, costAfter: null, reason: "planted" };
      const proposed = proposeIndex({
        id: randomUUID(),
        tableOid: found.table_oid,
        predictedBytes: null,
        rationale,
        now,
        definition,
      });
      await store.deployments.insert(
        { ...proposed, temporaryName: animal.index },
        { event: "propose", actor: "bench" },
      );
    }
    await storing.close();
    const context: PilotContext = {
      observe,
      build: resolveConnection(url("postgres"), {}),
      replicas: [resolveConnection(url("watcher", standby.port), {})],
      settings: defaults,
      clock: systemClock,
      signal: new AbortController().signal,
      emit: () => undefined,
    };
    process.stdout.write(`PostgreSQL ${String(major)}\n`);
    const options = { record: false, readBytes: 1 };
    await admin.script("grant select on all tables in schema indexpilot to watcher");
    compare(zoo.animals, await checkHealth(context, options), true, tally);
    compare(zoo.animals, await checkHealth({ ...context, replicas: [] }, options), false, tally);
  } finally {
    await writer.script("rollback");
    await building;
    await Promise.all([admin, writer, builder].map((session) => session.close()));
    await standby.stop();
    await server.stop();
  }
};

const tally: Tally = { cases: 0, right: 0 };
for (const major of options.majors.split(",").map(Number)) await judgeOn(major, tally);
process.stdout.write(`seed ${String(seed)}\n${JSON.stringify(tally)}\n`);
