import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { defaults } from "../../src/config/index.ts";
import { startEmbedded } from "../../src/embedded/index.ts";
import { type Advice, advise, liveTarget, workloadOfFiles, workloadOfTraffic } from "../../src/pilot/index.ts";
import { openSession, resolveConnection, type Session } from "../../src/postgres/index.ts";
import { systemClock } from "../../src/runtime/index.ts";
import type { Situation } from "./situation.ts";

const quiet = { clock: systemClock, signal: new AbortController().signal, emit: () => undefined };

export interface Planted {
  /** A superuser's, to build and to measure. */
  readonly session: Session;
  /** What was advised for a situation, as one of all that run in the same way. */
  readonly adviceFor: (situation: Situation) => Advice;
  readonly advices: readonly Advice[];
}

const fill = async (session: Session, all: readonly Situation[]): Promise<void> => {
  await session.script("create extension pg_trgm; create extension pg_stat_statements");
  for (const situation of all) await session.script(situation.setup);
  await session.script("vacuum analyze");
  for (const { tables } of all) await session.script(`grant all on ${tables.join(", ")} to app`);
  await session.script("grant usage on all sequences in schema public to app");
};

/** Milliseconds that all of a situation's traffic takes, rolled back. */
export const runTraffic = async (session: Session, { traffic }: Situation): Promise<number> => {
  const started = systemClock.monotonicMs();
  await session.script(`begin; ${traffic.join("; ")}; rollback`);
  return systemClock.monotonicMs() - started;
};

/** Makes a database of the situations, runs their traffic, asks for advice, and hands on; nothing is left afterwards. */
export const withPlanted = async <T>(
  { major, seed, all }: { readonly major: number; readonly seed: number; readonly all: readonly Situation[] },
  work: (planted: Planted) => Promise<T>,
): Promise<T> => {
  const server = await startEmbedded({
    major,
    settings: { autovacuum: "off", jit: "off", shared_buffers: "256MB", "pg_stat_statements.max": "10000" },
  });
  const directory = mkdtempSync(join(tmpdir(), "truth-"));
  try {
    const session = await openSession(resolveConnection(server.url(), {}), "build");
    await session.script("create role app login; create role observer login in role pg_monitor, pg_read_all_data");
    await fill(session, all);
    const application = await openSession(resolveConnection(server.url("postgres", "app"), {}), "build");
    await session.script("select pg_stat_statements_reset()");
    for (const situation of all) if (situation.asFiles !== true) await runTraffic(application, situation);
    await session.script("vacuum analyze");

    const context = {
      ...quiet,
      observe: resolveConnection(server.url("postgres", "observer"), {}),
      build: resolveConnection(server.url("postgres"), {}),
      settings: defaults,
    };
    const observe = await openSession(context.observe, "observe");
    const common = {
      ...quiet,
      budgetBytes: 10_000_000_000,
      whatIf: "shadow" as const,
      maxColumns: 3,
      limits: defaults,
    };
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
    const result = await work({
      session,
      advices: [byTraffic, byFiles].flatMap((advice) => advice ?? []),
      adviceFor: ({ asFiles }) => {
        const advice = asFiles === true ? byFiles : byTraffic;
        if (advice === null) throw new Error("advice was asked for none of these situations");
        return advice;
      },
    });
    for (const one of [session, application, observe]) await one.close();
    return result;
  } finally {
    rmSync(directory, { recursive: true });
    await server.stop();
  }
};
