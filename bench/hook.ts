/**
 * What does the driver hook cost the application? `npm run bench:hook [-- --processes 8 --pairs 300 --queries 20]`
 *
 * Processes of an application one after another, `bench/hook/application.mjs`, each with one connection of node-postgres to an embedded server: point SELECTs on a
 * primary key, slices of them through the hook and as many without it, in turns, so that both meet whatever else the machine does. It must be one connection: of two
 * without any hook, the one took 10 % more than the other, for the server's processes run on different cores. Of each process, the median of the pairs' ratios of its
 * CPU time per query (user and system): a median does not see the rare pairs with a garbage collection. Over the processes, the mean with its 95 % t interval:
 * where a process lays its code and objects moves its ratio by one or two points, more than the noise of its pairs. Pairs without the hook on either side
 * show in the same way what is noise. The texts are known; no experiment runs, or one on another table, or one on this table with everybody in the control or in
 * the treatment arm. Then the CPU time of reading a text for the first time: parse, fingerprint, gate, parse again.
 * Ends with one line of JSON: the ratio of texts that are known and go out as they are, each kind alike, its interval, the largest of a kind, and the median of first
 * texts. With the gate, the server plans one condition more, which is the price of the canary and not of the hook; literals must be taken out of a text before
 * it is known.
 */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import pg from "pg";
import { startEmbedded } from "../src/embedded/index.ts";
import { gatePredicate } from "../src/sql/index.ts";
import { studentQuantile } from "../src/statistics/index.ts";

const { values: options } = parseArgs({
  options: {
    processes: { type: "string", default: "8" },
    pairs: { type: "string", default: "300" },
    queries: { type: "string", default: "20" },
  },
});
const processes = Math.max(2, Number(options.processes));
const say = (line: string): void => void process.stdout.write(`${line}\n`);

/** What a process of the application prints. */
interface Measured {
  readonly ratios: Readonly<
    Record<string, { readonly ratio: number; readonly cpuUs: number; readonly counted: boolean }>
  >;
  readonly known: number;
  readonly noise: number;
  readonly firstTextUs: number;
  readonly characters: number;
}

const meanOf = (values: readonly number[]): { mean: number; half: number } => {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1);
  return { mean, half: studentQuantile(0.975, values.length - 1) * Math.sqrt(variance / values.length) };
};
const shown = ({ mean, half }: { mean: number; half: number }): string =>
  `× ${mean.toFixed(4)} (${(mean - half).toFixed(4)} to ${(mean + half).toFixed(4)})`;

const server = await startEmbedded({ major: 18, settings: { autovacuum: "off" } });
try {
  const url = server.url("postgres");
  const experiment = { id: "bench", column: "customer_id", number: 4711, bareName: true, unit: "transaction" };
  const gate = { ...experiment, table: { schema: "public", name: "orders" } };
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query(`
    create table orders (id int primary key, customer_id int not null, note text);
    insert into orders select i, i % 500, 'note ' || i from generate_series(1, 20000) i;
    create index on orders (customer_id) where ${gatePredicate(gate)}`);
  await client.query("vacuum analyze orders");
  await client.end();

  const orders = { url, experiment, pairs: Number(options.pairs), queries: Number(options.queries) };
  const program = fileURLToPath(new URL("./hook/application.mjs", import.meta.url));
  const runs: Measured[] = [];
  for (let i = 0; i < processes; i += 1) {
    const { stdout } = await promisify(execFile)(process.execPath, [program, JSON.stringify(orders)]);
    const run = JSON.parse(stdout) as Measured;
    runs.push(run);
    say(
      `process ${i + 1} of ${processes}: × ${run.known.toFixed(4)}; no hook on either side × ${run.noise.toFixed(4)}`,
    );
  }

  let largest = 0;
  for (const [name, { counted }] of Object.entries(runs[0]?.ratios ?? {})) {
    const ratio = meanOf(runs.map((run) => run.ratios[name]?.ratio ?? Number.NaN));
    const cpuUs = meanOf(runs.map((run) => run.ratios[name]?.cpuUs ?? Number.NaN)).mean;
    if (counted) largest = Math.max(largest, ratio.mean);
    say(`${name.padEnd(30)} ${cpuUs.toFixed(1)} µs of CPU per query without; with the hook ${shown(ratio)}`);
  }
  say(`no hook on either side: ${shown(meanOf(runs.map((run) => run.noise)))}`);
  const firstTextUs = Math.round(meanOf(runs.map((run) => run.firstTextUs)).mean);
  say(`a text of ${runs[0]?.characters ?? 0} characters for the first time: ${firstTextUs} µs`);
  const { mean, half } = meanOf(runs.map((run) => run.known));
  const rounded = (ratio: number): number => Number(ratio.toFixed(4));
  const interval = [rounded(mean - half), rounded(mean + half)];
  say(JSON.stringify({ cpuRatio: rounded(mean), interval, largest: rounded(largest), firstTextUs }));
} finally {
  await server.stop();
}
