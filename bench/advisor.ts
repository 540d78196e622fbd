/**
 * How good are the sets that the adviser chooses, and what do they cost to find?
 *
 * `npm run bench:advisor -- --workload DIR --url URL [--exclude q02.sql,…] [--widths 2,3] [--budgets 250,…] [--calls N]
 * [--candidates plain|product]`
 *
 * DIR holds `queries/*.sql`, and `peers.json` where others' figures are known. URL is a database with the workload's schema and
 * statistics, no indexes, and HypoPG. One cell per width and budget (in MB of 10^6 bytes): plain B-trees without INCLUDE, no gate, every cell from nothing.
 * CPU seconds are ours and the server's backend's together, where the backend runs on this machine; start-up and solver are shown apart.
 * Candidates are either all that plain B-trees can be, or those that the adviser thinks of.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { generateCandidates } from "../src/candidates/index.ts";
import {
  ascending,
  type Catalog,
  definitionId,
  type IndexDefinition,
  type Statement,
  type TableAccess,
} from "../src/domain/index.ts";
import { openSession, readCatalog, renderCreateIndex, resolveConnection, type Session } from "../src/postgres/index.ts";
import { systemClock } from "../src/runtime/index.ts";
import { selectConfiguration } from "../src/selection/index.ts";
import { analyseAccess, loadParser, parseStatement } from "../src/sql/index.ts";
import { createCostModel, openHypopg } from "../src/whatif/index.ts";
import { readQueryFiles, resolversFor, workloadFromFiles } from "../src/workload/index.ts";

const megabyte = 1e6;

const print = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

interface Cell {
  readonly maxColumns: number;
  readonly budgetMb: number;
  readonly relativeCost: number;
  readonly sizeMb: number;
  readonly whatIfCalls: number;
  readonly cpuSeconds: number;
  readonly definitions: readonly string[];
}

/** CPU seconds of this process, and of the backend where it runs on this machine. */
const cpuSeconds = ({ pid }: Session): number => {
  const { user, system } = process.cpuUsage();
  const stat = `/proc/${String(pid)}/stat`;
  const fields = existsSync(stat)
    ? readFileSync(stat, "utf8")
        .replace(/^.*\) /s, "")
        .split(" ")
    : [];
  return (user + system) / 1e6 + (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) / 100;
};

const accessesOf = (statements: readonly Statement[], catalog: Catalog): Map<string, readonly TableAccess[]> => {
  const resolverOf = resolversFor(catalog);
  return new Map(
    statements.map((statement) => {
      const parsed = parseStatement(statement.text);
      if (parsed.kind !== "parsed") throw new Error(`${statement.label} does not parse`);
      return [statement.id, analyseAccess(parsed.statement, resolverOf(statement.scope.searchPath).lookup).accesses];
    }),
  );
};

/**
 * Plain B-trees that a statement could use: the columns that it searches, joins, sorts or groups by, in every order up to the width; and the same
 * followed by what else it reads of the table, where that makes an index-only scan possible.
 */
const plainCandidates = (accesses: Iterable<readonly TableAccess[]>, width: number): IndexDefinition[] => {
  const found = new Map<string, IndexDefinition>();
  for (const access of [...accesses].flat()) {
    const offer = (columns: readonly string[]): void => {
      const definition: IndexDefinition = {
        table: access.table,
        method: "btree",
        keys: columns.map(ascending),
        include: [],
      };
      found.set(definitionId(definition), definition);
    };
    const sought = new Set([
      ...access.equality,
      ...access.range,
      ...access.join,
      ...access.order.map((key) => key.column),
      ...access.group,
    ]);
    const extend = (keys: readonly string[]): void => {
      const rest = (access.referenced ?? []).filter((column) => !keys.includes(column)).toSorted();
      if (keys.length > 0) offer(keys);
      if (access.referenced !== null && rest.length > 0 && keys.length + rest.length <= width)
        offer([...keys, ...rest]);
      if (keys.length < width) for (const one of sought) if (!keys.includes(one)) extend([...keys, one]);
    };
    extend([]);
  }
  return [...found.values()];
};

const { values: options } = parseArgs({
  options: {
    workload: { type: "string" },
    url: { type: "string" },
    exclude: { type: "string", default: "" },
    widths: { type: "string", default: "2,3" },
    budgets: { type: "string", default: "250,500,1000,2000,5000" },
    calls: { type: "string" },
    candidates: { type: "string", default: "plain" },
  },
});
const { workload: folder, url } = options;
if (folder === undefined || url === undefined) throw new Error("--workload DIR and --url URL are needed");
const list = (text: string): string[] => text.split(",").filter((item) => item !== "");

const session = await openSession(resolveConnection(url, {}), "observe");
await loadParser();
const catalog = await readCatalog(session);
const files = await readQueryFiles([join(folder, "queries/*.sql")], list(options.exclude));
const workload = workloadFromFiles({ files, catalog, searchPath: ["public"], role: session.target.user, seed: 1 });
for (const { label, reason } of workload.declined) print(`left out: ${label}: ${reason}`);
const accesses = accessesOf(workload.statements, catalog);
const startup = cpuSeconds(session);
print(`${String(workload.statements.length)} statements; start-up ${startup.toFixed(1)} s of CPU`);

const definitionsOf = (maxColumns: number): readonly IndexDefinition[] =>
  options.candidates === "plain"
    ? plainCandidates(accesses.values(), maxColumns)
    : generateCandidates({
        statements: workload.statements.map(({ id, calls }) => ({
          statementId: id,
          accesses: accesses.get(id) ?? [],
          weight: calls,
        })),
        catalog,
        maxColumns,
        maxIncludeColumns: 0,
      }).candidates.map((one) => one.definition);

const run = async (maxColumns: number, budgetMb: number): Promise<Cell> => {
  const before = cpuSeconds(session);
  const planner = await openHypopg(session, catalog);
  const hypothetical = await planner.register(definitionsOf(maxColumns));
  const curve: string[] = [];
  const costs = createCostModel({ planner, statements: workload.statements, accesses, hypothetical });
  const result = await selectConfiguration({
    statements: workload.statements,
    candidates: hypothetical,
    costs,
    budgetBytes: budgetMb * megabyte,
    minimumGain: 0,
    minimumShare: 0,
    maximumHarm: Number.POSITIVE_INFINITY,
    clock: { ...systemClock, monotonicMs: () => process.cpuUsage().user / 1e3 },
    ...(options.calls === undefined ? {} : { maxWhatIfCalls: Number(options.calls) }),
    onProgress: ({ cost, costBefore, whatIfCalls }) => {
      curve.push(`${String(whatIfCalls)} ${(cost / costBefore).toFixed(4)}`);
    },
  });
  await planner.close();
  const { totals } = result;
  const solver = result.solverMs / 1000;
  const share = (value: number | undefined): string => `${((value ?? 1) * 100).toFixed(2)} %`;
  print(`cost by calls: ${curve.join(", ")}`);
  print(
    `${String(hypothetical.length)} candidates; solver ${solver.toFixed(1)} s; within ${share(totals.gap)} of the optimum, model off by ${share(totals.modelDeviation)}`,
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

interface Peer {
  readonly advisor: string;
  readonly budget_mb: number | null;
  readonly max_width: number;
  readonly relative_cost: number;
}
const peersFile = join(folder, "peers.json");
const peers: readonly Peer[] = existsSync(peersFile)
  ? (JSON.parse(readFileSync(peersFile, "utf8")) as { entries: Peer[] }).entries
  : [];
const targets = /^(best|cophy)/;

const cells: Cell[] = [];
for (const maxColumns of list(options.widths).map(Number)) {
  for (const budgetMb of list(options.budgets).map(Number)) {
    const cell = await run(maxColumns, budgetMb);
    cells.push(cell);
    const same = peers.filter((peer) => peer.max_width === maxColumns && peer.budget_mb === budgetMb);
    const best = same.find((peer) => peer.advisor === "best");
    const rival = same
      .filter((peer) => !targets.test(peer.advisor))
      .toSorted((a, b) => a.relative_cost - b.relative_cost)[0];
    const against = (peer: Peer | undefined): string =>
      peer === undefined
        ? ""
        : `  ${peer.advisor} ${peer.relative_cost.toFixed(4)} (×${(cell.relativeCost / peer.relative_cost).toFixed(4)})`;
    print(
      `width ${String(maxColumns)} budget ${String(budgetMb)} MB: ${cell.relativeCost.toFixed(4)}, ${cell.sizeMb.toFixed(0)} MB, ${String(cell.whatIfCalls)} calls, ${cell.cpuSeconds.toFixed(1)} s${against(best)}${against(rival)}`,
    );
  }
}
await session.close();
print(JSON.stringify({ cells }));
