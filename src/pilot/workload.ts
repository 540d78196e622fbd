import type { Catalog, Workload } from "../domain/index.ts";
import { failure } from "../errors.ts";
import type { Session } from "../postgres/index.ts";
import type { CounterReading } from "../store/index.ts";
import {
  buildWorkload,
  type Observation,
  readQueryFiles,
  readStatementsSnapshot,
  type StatementsSnapshot,
  workloadFromFiles,
} from "../workload/index.ts";
import { observeBlocks } from "./observe.ts";
import { nodeName } from "./replicas.ts";
import { asSnapshot } from "./since-change.ts";
import { ownRoles, type PilotContext } from "./target.ts";

/** How the workload is come by, once the catalogue is known. */
export type WorkloadSource = (catalog: Catalog) => Promise<Workload>;

export interface FileSource {
  readonly queries: readonly string[];
  readonly exclude: readonly string[];
  readonly seed: number;
}

/** Files of SQL, planned as the session's own role with its search path. */
export const workloadOfFiles =
  (session: Session, { queries, exclude, seed }: FileSource): WorkloadSource =>
  async (catalog) => {
    const files = await readQueryFiles(queries, exclude);
    return workloadOfTexts(session, files, seed)(catalog);
  };

/** One text, as if it stood in a file. */
export const workloadOfText = (
  session: Session,
  { text, seed }: { readonly text: string; readonly seed: number },
): WorkloadSource => workloadOfTexts(session, [{ path: "statement", text }], seed);

/** Texts, as if each stood in a file of that path. */
export const workloadOfTexts =
  (session: Session, files: Awaited<ReturnType<typeof readQueryFiles>>, seed: number): WorkloadSource =>
  async (catalog) => {
    const [row] = await session.query<{ path: string[] }>("select current_schemas(false)::text[] as path");
    return workloadFromFiles({ files, catalog, searchPath: row?.path ?? [], role: session.target.user, seed });
  };

export interface TrafficSource {
  /** Null for all that has been counted. */
  readonly observeMs: number | null;
  readonly seed: number;
  /** Sessions on replicas, whose statements count as well. */
  readonly replicas?: readonly Session[];
  /** The counters at our last change: what was counted before it does not weigh. Replicas have no such reading. */
  readonly since?: CounterReading | null;
  /** What to do when nothing has run since then. Default `refuse`. */
  readonly whenQuiet?: "refuse" | "take_all";
  /** Plan also the statements that take the last per cent of the time. */
  readonly everything?: boolean;
}

/**
 * What pg_stat_statements has counted since our last change or its last reset, or, where `observeMs` is given, what runs while we watch.
 * The source throws IndexPilotError `nothing_since_change`.
 */
export const workloadOfTraffic =
  (
    context: PilotContext,
    session: Session,
    { observeMs, seed, replicas = [], since = null, whenQuiet = "refuse", everything = false }: TrafficSource,
  ): WorkloadSource =>
  async (catalog) => {
    const excludeRoles = ownRoles(context);
    const whole = { catalog, seed, ...(everything ? { leastPlanned: Number.POSITIVE_INFINITY } : {}) };
    const early: StatementsSnapshot[] = [];
    for (const replica of replicas) {
      context.emit({ kind: "step", text: `reading the workload of replica ${nodeName(replica)}` });
      early.push(await readStatementsSnapshot(replica, { excludeRoles }));
    }
    const from = await readStatementsSnapshot(session, { excludeRoles });
    if (observeMs === null) {
      const elsewhere = early.map((to) => ({ from: null, to }));
      const all = { from: null, to: from, replicas: elsewhere, ...whole };
      if (since === null) return buildWorkload(all);
      const at = since.takenAt.toISOString();
      const workload = buildWorkload({ ...all, from: asSnapshot(since, from) });
      if (workload.statements.length > 0 || workload.declined.length > 0) {
        context.emit({ kind: "note", text: `weighing by what has run since the last change of ${at}` });
        return workload;
      }
      if (whenQuiet === "refuse") throw failure("nothing_since_change", { at });
      context.emit({
        kind: "note",
        text: `nothing has run since the last change of ${at}: weighing by all that was counted`,
      });
      return buildWorkload(all);
    }
    context.emit({ kind: "step", text: `observing the workload for ${String(Math.round(observeMs / 1000))} s` });
    const to = await watch(context, session, observeMs);
    const elsewhere: Observation[] = [];
    for (const [at, replica] of replicas.entries()) {
      const previous = early[at];
      if (previous === undefined) continue;
      elsewhere.push({ from: previous, to: await readStatementsSnapshot(replica, { excludeRoles, previous }) });
    }
    return buildWorkload({ from, to, replicas: elsewhere, ...whole });
  };

/** Looks every tenth of the time, so that progress is seen and the last snapshot ends the observation. */
const watch = async (context: PilotContext, session: Session, observeMs: number): Promise<StatementsSnapshot> => {
  const parts = 10;
  let seen = 0;
  for await (const { snapshot } of observeBlocks({
    ...context,
    session,
    blockMs: observeMs / parts,
    excludeRoles: ownRoles(context),
  })) {
    seen += 1;
    context.emit({ kind: "progress", share: seen / parts, text: `${String(snapshot.rows.length)} statements so far` });
    if (seen === parts) return snapshot;
  }
  throw new Error("an observation ended before its time");
};
