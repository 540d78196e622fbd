import pg from "pg";
import { defaults, type Settings } from "../config/index.ts";
import {
  type ArmComparison,
  type Decision,
  describeIndex,
  type Experiment,
  type ExperimentVerdict,
  tableId,
  type WriteVerdict,
} from "../domain/index.ts";
import { type HookCounts, intercept } from "../driver/index.ts";
import {
  type AbResults,
  admitFollower,
  type Conducted,
  conductExperiments,
  createCanaryDeployment,
  followExperiments,
  getAbResults,
  type PilotContext,
  readHistory,
  withSession,
} from "../pilot/index.ts";
import { openSession, resolveConnection } from "../postgres/index.ts";
import { fingerprintOf, loadParser } from "../sql/index.ts";
import { harmedStatements } from "../verification/index.ts";
import { type ShopOptions, withShop } from "./shop.ts";
import { runTraffic, type TrafficSummary } from "./traffic.ts";
import { canaryMix, harmfulIndex, helpfulIndex } from "./workloads/ecommerce/index.ts";

export interface CanaryDemoOptions extends ShopOptions {
  /** Told about once a second how the canaries stand, and milliseconds since the traffic began. */
  readonly onLook: (canaries: readonly AbResults[], afterMs: number) => void;
  /** Runs while server and traffic are still there. */
  readonly onDone: (report: CanaryReport) => Promise<void>;
}

/** A statement in both arms, by the name of its shape. */
export interface CanaryQuery extends ArmComparison {
  readonly name: string;
}

/** One canary, read back from the store and the catalogue after its end. */
export interface CanaryResult {
  readonly index: string;
  readonly experiment: Experiment;
  readonly verdict: ExperimentVerdict;
  /** Why it was decided, or what it waits for; statements by the names of their shapes. */
  readonly reason: string;
  /** When each share of the transactions began, milliseconds since the traffic did. */
  readonly stages: readonly { readonly share: number; readonly afterMs: number }[];
  /** When it was decided; null while that is open. */
  readonly decidedAfterMs: number | null;
  /** The rule that decided, e.g. `harms_statement`; null while that is open. */
  readonly code: string | null;
  /** All that read the table, those that the index does not change among them. */
  readonly queries: readonly CanaryQuery[];
  /** Those of them that the index harms. */
  readonly harmed: readonly CanaryQuery[];
  /** What everybody's writes pay for it, before and after it was built; null where that is not known. */
  readonly writes: WriteVerdict | null;
  /** Names of the indexes on its table, as the catalogue has them at the end. */
  readonly indexesNow: readonly string[];
}

export interface CanaryReport {
  readonly url: string;
  readonly buildUrl: string;
  readonly rows: number;
  readonly loadMs: number;
  /** From the first call of the traffic to the last step. */
  readonly durationMs: number;
  readonly canaries: readonly CanaryResult[];
  readonly traffic: TrafficSummary;
  readonly hook: HookCounts;
}

/** As many short transactions as two busy cores answer without queueing. */
const pace = { connections: 8, callsPerSecond: 160 } as const;
const WARM_UP_MS = 2_000;
/** With half a minute for the server before it, a person has waited less than three minutes, whatever comes. */
const CONDUCT_MS = 110_000;
const LOOK_MS = 1_000;

/** Windows short enough for somebody who waits; what is called a difference, and how surely, is as ever. */
const settings: Settings = {
  ...defaults,
  blockMs: 500,
  baselineMs: 4_000,
  canaryCalls: 30,
  canaryMaxMs: CONDUCT_MS - 20_000,
};

/**
 * Two canaries on an embedded server with the shop's traffic: an index that helps, and one that the planner is lured to use. The application goes through the
 * driver hook and follows experiments as its own role; nothing here knows which index is which but the names of the two.
 */
export const runCanaryDemo = async (options: CanaryDemoOptions): Promise<void> => {
  const { seed, clock, signal, emit } = options;
  await loadParser();
  await withShop(options, async ({ database, url, buildUrl, applicationUrl }) => {
    const context: PilotContext = {
      observe: resolveConnection(url, {}),
      build: resolveConnection(buildUrl, {}),
      settings,
      clock,
      signal,
      emit,
    };
    await admitFollower(context, database.application);
    // A class of the application's own: IndexPilot's sessions in this process go unhooked.
    class Client extends pg.Client {}
    const hook = intercept({ Client });
    emit({
      kind: "step",
      text: `live traffic: ${String(canaryMix.length)} query shapes from ${String(pace.connections)} connections as role ${database.application}, through the driver hook`,
    });
    const startedAt = clock.now();
    const sinceStart = (at: Date): number => at.getTime() - startedAt.getTime();
    const traffic = runTraffic({ url: applicationUrl, ...pace, Client, mix: canaryMix, seed, clock });
    try {
      const following = await followExperiments(hook, {
        url: applicationUrl,
        application: "shop",
        everyMs: 250,
        clock,
      });
      try {
        await clock.sleep(WARM_UP_MS, signal);
        const ids: string[] = [];
        for (const index of [helpfulIndex, harmfulIndex]) {
          emit({ kind: "step", text: `a canary: ${describeIndex(index)} for a tenth of the transactions first` });
          ids.push((await createCanaryDeployment(context, { index, actor: "demo" })).id);
        }
        const look = (): Promise<readonly AbResults[]> => Promise.all(ids.map((id) => getAbResults(context, id)));
        const conducted = new AbortController();
        const watch = async (): Promise<void> => {
          while (!conducted.signal.aborted) {
            options.onLook(await look(), sinceStart(clock.now()));
            await clock.sleep(LOOK_MS, conducted.signal).catch(() => undefined);
          }
        };
        const conduct = conductExperiments(
          // The looks say it better than the remarks about each.
          { ...context, emit: (event) => (event.kind === "note" ? undefined : emit(event)) },
          { actor: { name: "demo", consents: true }, waitMs: CONDUCT_MS },
        ).finally(() => conducted.abort());
        const [conducting, watching] = await Promise.allSettled([conduct, watch()]);
        if (conducting.status === "rejected") throw conducting.reason;
        if (watching.status === "rejected") throw watching.reason;
        const last = await look();
        const durationMs = sinceStart(clock.now());
        options.onLook(last, durationMs);
        const { decisions } = await readHistory(context);
        await options.onDone({
          url,
          buildUrl,
          rows: database.rows,
          loadMs: database.loadMs,
          durationMs,
          canaries: await resultsOf(context, last, conducting.value, decisions, sinceStart),
          traffic: traffic.summary(),
          hook: hook.counts(),
        });
      } finally {
        await following.close();
      }
    } finally {
      await traffic.stop();
      hook.remove();
    }
  });
};

const resultsOf = async (
  context: PilotContext,
  last: readonly AbResults[],
  conducted: readonly Conducted[],
  decisions: readonly Decision[],
  sinceStart: (at: Date) => number,
): Promise<readonly CanaryResult[]> => {
  const names = new Map(canaryMix.map(({ name, sql }) => [fingerprintOf(sql) ?? name, name]));
  const named = (one: ArmComparison): CanaryQuery => ({ ...one, name: names.get(one.statementId) ?? one.statementId });
  const indexes = await withSession(openSession(context.observe, "observe"), (session) =>
    session.query<{ schema: string; table: string; name: string }>(
      "select schemaname as schema, tablename as table, indexname as name from pg_indexes order by indexname",
    ),
  );
  return last.map(({ experiment, verdict }) => {
    const own = decisions.filter(({ inputs }) => inputs["experiment"] === experiment.id);
    const begun = own.filter(({ code }) => code === "gates_work" || code === "next_stage");
    const decided = own.find(({ rule, code }) => rule === "verification.next_step" && code !== "next_stage");
    const { treatment, stages, table } = experiment;
    const reason = experiment.endReason ?? conducted.find((one) => one.experiment.id === experiment.id)?.reason ?? "";
    return {
      index: treatment.index === null ? "" : describeIndex(treatment.index),
      experiment,
      verdict,
      reason: [...names].reduce((text, [fingerprint, name]) => text.replaceAll(fingerprint, name), reason),
      stages: begun.map(({ at }, i) => ({ share: stages[i] ?? 1, afterMs: sinceStart(at) })),
      decidedAfterMs: decided === undefined ? null : sinceStart(decided.at),
      code: decided?.code ?? null,
      queries: verdict.statements.map(named),
      harmed: harmedStatements(verdict, experiment.deciding).map(named),
      writes: (decided?.inputs["writes"] ?? null) as WriteVerdict | null,
      indexesNow: indexes
        .filter((one) => tableId({ schema: one.schema, name: one.table }) === tableId(table))
        .map(({ name }) => name),
    };
  });
};
