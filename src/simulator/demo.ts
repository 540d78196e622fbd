import { defaults } from "../config/index.ts";
import type { Block, Statement, StatementVerdict } from "../domain/index.ts";
import { openSession, resolveConnection } from "../postgres/index.ts";
import { apply, type ApplyReport, type PilotContext, withSession, workloadOfTraffic } from "../pilot/index.ts";
import { fingerprintOf, loadParser } from "../sql/index.ts";
import { demoPace } from "./settings.ts";
import { type ShopOptions, withShop } from "./shop.ts";
import { runTraffic, type TrafficSummary } from "./traffic.ts";
import { ecommerceMix } from "./workloads/ecommerce/index.ts";

export interface DemoOptions extends ShopOptions {
  /** Runs while server and traffic are still there. */
  readonly onDone: (report: DemoReport) => Promise<void>;
}

/** One query shape before and after, measured by the server. */
export interface DemoQuery {
  readonly name: string;
  readonly kind: "read" | "write";
  readonly planted: boolean;
  readonly fingerprint: string;
  readonly text: string;
  readonly callsBefore: number;
  readonly callsAfter: number;
  /** Milliseconds per call; null without calls. */
  readonly meanMsBefore: number | null;
  readonly meanMsAfter: number | null;
  /** The statement's own verdict, where an index touches it; null for statements on other tables. */
  readonly verdict: StatementVerdict | null;
}

export interface DemoReport {
  readonly url: string;
  readonly buildUrl: string;
  readonly rows: number;
  readonly loadMs: number;
  readonly apply: ApplyReport;
  readonly queries: readonly DemoQuery[];
  /** Milliseconds of the planted queries at the mix of calls before the change. */
  readonly planted: { readonly beforeMs: number; readonly afterMs: number };
  /** The same of the writes that no index was meant for: what they pay. */
  readonly otherWrites: { readonly beforeMs: number; readonly afterMs: number };
  readonly traffic: TrafficSummary;
}

/** A long enough look for means that hold, short enough for somebody who waits. */
const WARM_UP_MS = 4_000;
const BLOCK_MS = 1_000;
const BASELINE_MS = 20_000;
const FIRST_LOOK_BLOCKS = 15;
const WAIT_MS = 40_000;

/**
 * The whole loop on an embedded server: an e-commerce database without secondary indexes, its traffic from several connections, and IndexPilot
 * with two roles that are no superusers. The server and its files are gone afterwards.
 */
export const runDemo = async (options: DemoOptions): Promise<void> => {
  const { seed, clock, signal, emit } = options;
  await loadParser();
  await withShop(options, async ({ database, url, buildUrl, applicationUrl }) => {
    emit({
      kind: "step",
      text: `live traffic: ${String(ecommerceMix.length)} query shapes from ${String(demoPace.connections)} connections as role ${database.application}`,
    });
    const traffic = runTraffic({ url: applicationUrl, ...demoPace, mix: ecommerceMix, seed, clock });
    try {
      await clock.sleep(WARM_UP_MS, signal);
      const context: PilotContext = {
        observe: resolveConnection(url, {}),
        build: resolveConnection(buildUrl, {}),
        settings: defaults,
        clock,
        signal,
        emit,
      };
      const report = await withSession(openSession(context.observe, "observe"), (session) =>
        apply(context, {
          budgetBytes: 1e9,
          whatIf: "shadow",
          maxColumns: 3,
          limits: defaults,
          workloadOf: (since) => workloadOfTraffic(context, session, { observeMs: null, seed, since }),
          actor: "demo",
          baselineMs: BASELINE_MS,
          blockMs: BLOCK_MS,
          minimumBlocks: FIRST_LOOK_BLOCKS,
          waitMs: WAIT_MS,
          acceptInstallation: false,
        }),
      );
      if (report.advice === null) throw new Error("a database that was never changed has nothing to wait for");
      const queries = queriesOf(report);
      await options.onDone({
        url,
        buildUrl,
        rows: database.rows,
        loadMs: database.loadMs,
        apply: report,
        queries,
        planted: totalOf(queries.filter((query) => query.planted)),
        otherWrites: totalOf(queries.filter((query) => query.kind === "write" && !query.planted)),
        traffic: traffic.summary(),
      });
    } finally {
      await traffic.stop();
    }
  });
};

interface Sum {
  readonly calls: number;
  readonly totalMs: number;
}

const sumOver = (blocks: readonly Block[], ids: ReadonlySet<string>): Sum => {
  let calls = 0;
  let totalMs = 0;
  for (const block of blocks) {
    if (block.voidReason !== null) continue;
    for (const [id, counters] of block.statements) {
      if (!ids.has(id)) continue;
      calls += counters.calls;
      totalMs += counters.totalMs;
    }
  }
  return { calls, totalMs };
};

const queriesOf = ({ advice, before, after, verdicts }: ApplyReport): DemoQuery[] => {
  const statements = new Map<string, Statement[]>();
  for (const statement of advice.workload.statements) {
    statements.set(statement.fingerprint, [...(statements.get(statement.fingerprint) ?? []), statement]);
  }
  const judged = new Map(
    verdicts.flatMap(({ verdict }) => (verdict?.statements ?? []).map((one) => [one.statementId, one] as const)),
  );
  return ecommerceMix.flatMap((shape) => {
    const fingerprint = fingerprintOf(shape.sql);
    const [statement] = statements.get(fingerprint ?? "") ?? [];
    if (fingerprint === null || statement === undefined) return [];
    const ids = new Set([statement.id]);
    const [earlier, later] = [sumOver(before, ids), sumOver(after, ids)];
    return [
      {
        name: shape.name,
        kind: shape.kind,
        planted: shape.planted,
        fingerprint,
        text: statement.text,
        callsBefore: earlier.calls,
        callsAfter: later.calls,
        meanMsBefore: earlier.calls === 0 ? null : earlier.totalMs / earlier.calls,
        meanMsAfter: later.calls === 0 ? null : later.totalMs / later.calls,
        verdict: judged.get(statement.id) ?? null,
      },
    ];
  });
};

/** Time at the calls of the period before, so that a change of the mix does not count; queries seen in both periods only. */
const totalOf = (queries: readonly DemoQuery[]): { readonly beforeMs: number; readonly afterMs: number } => {
  let beforeMs = 0;
  let afterMs = 0;
  for (const { callsBefore, meanMsBefore, meanMsAfter } of queries) {
    if (meanMsBefore === null || meanMsAfter === null) continue;
    beforeMs += callsBefore * meanMsBefore;
    afterMs += callsBefore * meanMsAfter;
  }
  return { beforeMs, afterMs };
};
