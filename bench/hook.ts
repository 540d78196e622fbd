/**
 * What does the driver hook cost the application? `npm run bench:hook [-- --pairs 4000 --queries 10]`
 *
 * One connection of node-postgres to an embedded server: point SELECTs on a primary key one after another, some through the hook and as many without it, in turns
 * (ABBA), so that both meet whatever else the machine does. It must be one connection: of two without any hook, the one took 10 % more than the other, for the
 * server's processes run on different cores. This process's CPU time per query (user and system), as the median of the pairs'
 * ratios, with its 95 % interval by order statistics; a median does not see the rare pairs with a garbage collection, so the ratio of all time is printed beside
 * it. Pairs without the hook on either side show in the same way what is noise. The texts are known; no experiment runs, or one on another table, or one on
 * this table with everybody in the control or in the treatment arm. Then the CPU time of reading a text for the first time: parse, fingerprint, gate, parse again.
 * Ends with one line of JSON: the ratio over all pairs of texts that are known and go out as they are, each kind alike, its interval, the largest of a kind
 * (larger than the true one of any, where noise is), and the median of first texts. With the gate, the server plans one condition more, which is the price of
 * the canary and not of the hook; literals must be taken out of a text before it is known.
 */
import { parseArgs } from "node:util";
import pg from "pg";
// Built, as an application has it: what runs the source here wraps every function in another.
import { type GateExperiment, intercept } from "indexpilot/driver";
import { statementReader } from "../src/driver/reading.ts";
import { startEmbedded } from "../src/embedded/index.ts";
import { systemClock } from "../src/runtime/index.ts";
import { gatePredicate, loadParser } from "../src/sql/index.ts";

const { values: options } = parseArgs({
  options: { pairs: { type: "string", default: "4000" }, queries: { type: "string", default: "10" } },
});
const pairsOfEach = Number(options.pairs);
const queries = Number(options.queries);
const say = (line: string): void => void process.stdout.write(`${line}\n`);

const experiment = (table: string, share: number): GateExperiment => ({
  id: "bench",
  table: { schema: "public", name: table },
  column: "customer_id",
  number: 4711,
  bareName: true,
  share,
  unit: "transaction",
});

const cpuUs = (): number => {
  const { user, system } = process.cpuUsage();
  return user + system;
};

const quantile = (sorted: readonly number[], p: number): number =>
  sorted[Math.min(sorted.length - 1, Math.max(0, Math.round(p * (sorted.length - 1))))] ?? Number.NaN;

/** The median, and the order statistics that hold it with 95 %. */
const medianOf = (values: readonly number[]): { median: number; low: number; high: number } => {
  const sorted = values.toSorted((a, b) => a - b);
  const half = (1.96 * Math.sqrt(sorted.length)) / 2 / Math.max(1, sorted.length - 1);
  return { median: quantile(sorted, 0.5), low: quantile(sorted, 0.5 - half), high: quantile(sorted, 0.5 + half) };
};

await loadParser();
const server = await startEmbedded({ major: 18, settings: { autovacuum: "off" } });
const client = new pg.Client({ connectionString: server.url("postgres") });
await client.connect();
type Query = (this: pg.Client, ...given: unknown[]) => unknown;
const { query: without } = pg.Client.prototype as { query: Query };
/** What the hook takes for the driver's class: the client itself keeps its method. */
const hooked = { prototype: { query: without } };
let measured = 0;
const interception = intercept({ Client: hooked }, { observe: () => void (measured += 1) });
await interception.ready;
const withHook = hooked.prototype.query;
try {
  await client.query(`
    create table orders (id int primary key, customer_id int not null, note text);
    insert into orders select i, i % 500, 'note ' || i from generate_series(1, 20000) i;
    create index on orders (customer_id) where ${gatePredicate(experiment("orders", 1))}`);
  await client.query("vacuum analyze orders");

  type Send = (query: Query, id: number) => unknown;
  const point = "select id, customer_id, note from orders where id = $1";
  const named: Send = (query, id) => query.call(client, { name: "point", text: point, values: [id] });
  const unnamed: Send = (query, id) => query.call(client, point, [id]);
  const literal: Send = (query, id) => query.call(client, `select id, customer_id, note from orders where id = ${id}`);
  const called: Send = (query, id) =>
    new Promise((resolve, reject) => {
      query.call(client, point, [id], (error: Error | null, result: unknown) =>
        error === null ? resolve(result) : reject(error),
      );
    });
  interface Variant {
    readonly name: string;
    readonly send: Send;
    readonly trial: readonly GateExperiment[];
    /** Whether its texts are known and go out as they are. */
    readonly counted?: true;
  }
  const [control, treatment] = [[experiment("orders", 0)], [experiment("orders", 1)]];
  const variants: readonly Variant[] = [
    { name: "unnamed, nothing on trial", send: unnamed, trial: [], counted: true },
    { name: "unnamed, other table on trial", send: unnamed, trial: [experiment("customers", 1)], counted: true },
    { name: "unnamed, control", send: unnamed, trial: control, counted: true },
    { name: "prepared, control", send: named, trial: control, counted: true },
    { name: "callback, control", send: called, trial: control, counted: true },
    { name: "unnamed, treatment", send: unnamed, trial: treatment },
    { name: "prepared, treatment", send: named, trial: treatment },
    { name: "literal in the text, control", send: literal, trial: control },
  ];

  type Pair = readonly [one: number, two: number];
  const slice = async (query: Query, send: Send): Promise<number> => {
    const before = cpuUs();
    for (let i = 0; i < queries; i += 1) await send(query, 1 + (i % 20_000));
    return (cpuUs() - before) / queries;
  };
  const pair = async (one: Query, two: Query, send: Send, turned: boolean): Promise<Pair> => {
    if (!turned) return [await slice(one, send), await slice(two, send)];
    const second = await slice(two, send);
    return [await slice(one, send), second];
  };
  const shown = (pairs: readonly Pair[]): string => {
    const { median, low, high } = medianOf(pairs.map(([one, two]) => two / one));
    const [first, second] = [0, 1].map((i) => pairs.reduce((sum, times) => sum + (times[i] ?? 0), 0)) as [
      number,
      number,
    ];
    return `× ${median.toFixed(4)} (${low.toFixed(4)} to ${high.toFixed(4)}), of all time × ${(second / first).toFixed(4)}`;
  };

  const known: number[] = [];
  const noise: Pair[] = [];
  let largest = 0;
  for (const { name, send, trial, counted } of variants) {
    interception.setExperiments(trial);
    for (let i = 0; i < 3_000; i += 1) for (const query of [without, withHook]) await send(query, i);
    const pairs: Pair[] = [];
    for (let i = 0; i < pairsOfEach; i += 1) {
      pairs.push(await pair(without, withHook, send, i % 2 === 1));
      // As many of noise in all as of each kind.
      if (i % variants.length === 0) noise.push(await pair(without, without, send, (i / variants.length) % 2 === 1));
    }
    const ratios = pairs.map(([one, two]) => two / one);
    if (counted) {
      known.push(...ratios);
      largest = Math.max(largest, medianOf(ratios).median);
    }
    const { median } = medianOf(pairs.map(([one]) => one));
    say(`${name.padEnd(30)} ${median.toFixed(1)} µs of CPU per query without; with the hook ${shown(pairs)}`);
  }
  say(`no hook on either side: ${shown(noise)}`);
  if (measured === 0) throw new Error("the hook measured nothing");

  const text = (i: number): string =>
    `select o.id, o.total, c.name as name_${i} from orders o join customers c on c.id = o.customer_id left join items i on i.order_id = o.id ` +
    "where o.customer_id = $1 and o.created_at > $2 and o.status in ('new', 'paid') order by o.created_at desc limit 10";
  const firsts: number[] = [];
  for (let turn = 0; turn < 12; turn += 1) {
    const read = statementReader([experiment("orders", 1)], systemClock);
    for (let i = 0; i < 100; i += 1) {
      const before = cpuUs();
      if (read(text(turn * 100 + i)).gated("treatment") === null) throw new Error("not gated");
      if (turn > 1) firsts.push(cpuUs() - before);
    }
  }
  const sorted = firsts.toSorted((a, b) => a - b);
  const firstTextUs = Math.round(quantile(sorted, 0.5));
  say(
    `a text of ${text(100).length} characters for the first time: median ${firstTextUs} µs, 95 % within ${Math.round(quantile(sorted, 0.95))} µs`,
  );
  const { median, low, high } = medianOf(known);
  const rounded = (ratio: number): number => Number(ratio.toFixed(4));
  const interval = [rounded(low), rounded(high)];
  say(JSON.stringify({ cpuRatio: rounded(median), interval, largest: rounded(largest), firstTextUs }));
} finally {
  await client.end();
  await server.stop();
}
