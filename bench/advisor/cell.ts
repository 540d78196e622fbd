import { existsSync, readFileSync } from "node:fs";
import { generateCandidates } from "../../src/candidates/index.ts";
import type { Catalog, Statement, TableAccess } from "../../src/domain/index.ts";
import { renderCreateIndex, type Session } from "../../src/postgres/index.ts";
import { systemClock } from "../../src/runtime/index.ts";
import { selectConfiguration } from "../../src/selection/index.ts";
import { createCostModel, openHypopg } from "../../src/whatif/index.ts";

const megabyte = 1e6;

/** What the adviser is asked about. */
export interface Workload {
  readonly session: Session;
  readonly catalog: Catalog;
  readonly statements: readonly Statement[];
  readonly accesses: ReadonlyMap<string, readonly TableAccess[]>;
}

export interface Question {
  readonly maxColumns: number;
  readonly budgetMb: number;
  readonly kinds: "btree" | "all";
  /** Ends the search; by default it ends by itself. */
  readonly maxWhatIfCalls: number | null;
}

/** One answer of the adviser, as the last line of the bench tells it. */
export interface Cell {
  readonly maxColumns: number;
  readonly budgetMb: number;
  readonly relativeCost: number;
  readonly sizeMb: number;
  readonly whatIfCalls: number;
  readonly cpuSeconds: number;
  readonly definitions: readonly string[];
}

/** CPU seconds of this process, and of the backend where it runs on this machine. */
export const cpuSeconds = ({ pid }: Session): number => {
  const { user, system } = process.cpuUsage();
  const stat = `/proc/${String(pid)}/stat`;
  const fields = existsSync(stat)
    ? readFileSync(stat, "utf8")
        .replace(/^.*\) /s, "")
        .split(" ")
    : [];
  return (user + system) / 1e6 + (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) / 100;
};

/**
 * The adviser's search, from nothing: candidates, hypothetical indexes, selection without the gate. The clock counts CPU, so that what the machine does
 * besides counts little; `report` is told what the answer's line has no room for.
 */
export const answer = async (
  { session, catalog, statements, accesses }: Workload,
  { maxColumns, budgetMb, kinds, maxWhatIfCalls }: Question,
  report: (line: string) => void,
): Promise<Cell> => {
  const before = cpuSeconds(session);
  const { candidates } = generateCandidates({
    statements: statements.map(({ id, calls }) => ({
      statementId: id,
      accesses: accesses.get(id) ?? [],
      weight: calls,
    })),
    catalog,
    maxColumns,
    kinds,
  });
  const planner = await openHypopg(session, catalog);
  const hypothetical = await planner.register(candidates.map(({ definition }) => definition));
  const curve: string[] = [];
  const result = await selectConfiguration({
    statements,
    candidates: hypothetical,
    costs: createCostModel({ planner, statements, accesses, hypothetical }),
    budgetBytes: budgetMb * megabyte,
    minimumGain: 0,
    minimumShare: 0,
    maximumHarm: Number.POSITIVE_INFINITY,
    clock: { ...systemClock, monotonicMs: () => process.cpuUsage().user / 1e3 },
    ...(maxWhatIfCalls === null ? {} : { maxWhatIfCalls }),
    onProgress: ({ cost, costBefore, whatIfCalls }) => {
      curve.push(`${String(whatIfCalls)} ${(cost / costBefore).toFixed(4)}`);
    },
  });
  await planner.close();
  const { totals } = result;
  const solver = result.solverMs / 1000;
  const share = (value: number | undefined): string => `${((value ?? 1) * 100).toFixed(2)} %`;
  report(`cost by calls: ${curve.join(", ")}`);
  report(
    `${String(hypothetical.length)} candidates; ${String(totals.skippedCalls ?? 0)} calls not needed; solver ${solver.toFixed(1)} s; within ${share(totals.gap)} of the optimum, model off by ${share(totals.modelDeviation)}`,
  );
  return {
    maxColumns,
    budgetMb,
    relativeCost: totals.costAfter / totals.costBefore,
    sizeMb: totals.sizeBytes / megabyte,
    whatIfCalls: totals.whatIfCalls,
    cpuSeconds: cpuSeconds(session) - before - solver,
    definitions: result.create.map(({ index }) => renderCreateIndex(index.definition, null, { concurrently: false })),
  };
};
