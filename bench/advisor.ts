/**
 * How good are the sets that the adviser chooses, and what do they cost to find?
 *
 * `npm run bench:advisor -- DIR [--url URL] [--widths 2,3] [--budgets 250,…] [--calls N] [--exclude q02.sql,…] [--plain]`
 *
 * DIR holds `queries/*.sql`, `schema.sql` and `statistics.json`, and `peers.json` where others' figures are known. Without a URL, a server of Debian's
 * PostgreSQL 15 with HypoPG is started with that schema and those statistics; with one, it is a database that has them, no indexes, and HypoPG.
 * One cell per width and budget (in MB of 10^6 bytes): plain B-trees, no gate, every cell from nothing. CPU seconds are ours and the server's
 * backend's together; start-up and solver are shown apart. Then the same budgets with every kind of index that HypoPG knows, unless `--plain`.
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { tableId } from "../src/domain/index.ts";
import { openSession, readCatalog, resolveConnection } from "../src/postgres/index.ts";
import { analyseAccess, loadParser, parseStatement } from "../src/sql/index.ts";
import { readQueryFiles, resolversFor, workloadFromFiles } from "../src/workload/index.ts";
import { answer, type Cell, cpuSeconds, type Workload } from "./advisor/cell.ts";
import { comparison, type Peers, readPeers, wasAsked } from "./advisor/peers.ts";
import { startTarget } from "./advisor/target.ts";

const print = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

const list = (text: string): string[] => text.split(",").filter((item) => item !== "");

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    url: { type: "string" },
    exclude: { type: "string", default: "" },
    widths: { type: "string", default: "2,3" },
    budgets: { type: "string", default: "250,500,1000,2000,5000" },
    calls: { type: "string" },
    plain: { type: "boolean", default: false },
  },
});
const [folder] = positionals;
if (folder === undefined) throw new Error("the folder of the workload is needed");

const readWorkload = async (url: string, peers: Peers): Promise<Workload> => {
  const session = await openSession(resolveConnection(url, {}), "observe");
  await loadParser();
  const catalog = await readCatalog(session);
  const files = await readQueryFiles([join(folder, "queries/*.sql")], list(options.exclude));
  const { statements, declined } = workloadFromFiles({
    files: files.filter(({ path }) => wasAsked(peers, path)),
    catalog,
    searchPath: ["public"],
    role: session.target.user,
    seed: 1,
  });
  for (const { label, reason } of declined) print(`left out: ${label}: ${reason}`);
  const known = new Set(catalog.tables.map(tableId));
  const resolverOf = resolversFor(catalog);
  const accesses = new Map(
    statements.map(({ id, label, text, scope }) => {
      const parsed = parseStatement(text);
      if (parsed.kind !== "parsed") throw new Error(`${label} does not parse`);
      const found = analyseAccess(parsed.statement, resolverOf(scope.searchPath).lookup).accesses;
      return [id, found.filter(({ table }) => known.has(tableId(table)))];
    }),
  );
  print(`${String(statements.length)} statements; start-up ${cpuSeconds(session).toFixed(1)} s of CPU`);
  return { session, catalog, statements, accesses };
};

const peers = readPeers(folder);
const server = options.url === undefined ? await startTarget(folder) : null;
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => {
    server?.stop();
    process.exit(1);
  });
}
const cells: Cell[] = [];
try {
  const workload = await readWorkload(options.url ?? server?.url ?? "", peers);
  const budgets = list(options.budgets).map(Number);
  const maxWhatIfCalls = options.calls === undefined ? null : Number(options.calls);
  const line = ({ budgetMb, relativeCost, sizeMb, whatIfCalls, cpuSeconds: cpu }: Cell): string =>
    `budget ${String(budgetMb)} MB: ${relativeCost.toFixed(4)}, ${sizeMb.toFixed(0)} MB, ${String(whatIfCalls)} calls, ${cpu.toFixed(1)} s`;
  for (const maxColumns of list(options.widths).map(Number)) {
    for (const budgetMb of budgets) {
      const cell = await answer(workload, { maxColumns, budgetMb, kinds: "btree", maxWhatIfCalls }, print);
      cells.push(cell);
      print(`width ${String(maxColumns)} ${line(cell)}${comparison(peers, cell)}`);
    }
  }
  for (const budgetMb of options.plain ? [] : budgets) {
    const cell = await answer(workload, { maxColumns: 3, budgetMb, kinds: "all", maxWhatIfCalls }, print);
    print(`every kind, ${line(cell)}`);
  }
  await workload.session.close();
} finally {
  server?.stop();
}
print(JSON.stringify({ cells }));
