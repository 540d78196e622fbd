/**
 * What does the driver hook cost the application? `npm run bench:hook [-- --rounds 1500] [--queries 25]`
 *
 * Two connections of node-postgres to an embedded server, one of them hooked: point SELECTs on a primary key one after another, in blocks on the one and
 * the other in turns (ABBA). This process's CPU time per query, as the median of the pairs' ratios, with its 95 % interval by order statistics. The texts
 * are known; an experiment runs on another table, or on this one with everybody in the control or in the treatment arm. Then the CPU time of reading a
 * text for the first time: parse, fingerprint, gate, parse again. Ends with one line of JSON: the largest ratio of texts that are known and go out as they
 * are, and the median of first texts. With the gate, the server plans one condition more, which is the price of the canary and not of the hook; literals
 * must be taken out of a text before it is known.
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
  options: { rounds: { type: "string", default: "1500" }, queries: { type: "string", default: "25" } },
});
const rounds = Number(options.rounds);
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
/** Two kinds of clients, of which one is hooked: putting a hook in and out would cost more than it does. */
class Hooked extends pg.Client {}
const open = async (Client: typeof pg.Client): Promise<pg.Client> => {
  const client = new Client({ connectionString: server.url("postgres") });
  await client.connect();
  return client;
};
const [bare, hooked] = [await open(pg.Client), await open(Hooked)];
let measured = 0;
const interception = intercept({ Client: Hooked }, { observe: () => void (measured += 1) });
await interception.ready;
try {
  await bare.query(`
    create table orders (id int primary key, customer_id int not null, note text);
    insert into orders select i, i % 500, 'note ' || i from generate_series(1, 20000) i;
    create index on orders (customer_id) where ${gatePredicate(experiment("orders", 1))}`);
  await bare.query("vacuum analyze orders");

  type Send = (client: pg.Client, id: number) => Promise<unknown>;
  const point = "select id, customer_id, note from orders where id = $1";
  const named: Send = (client, id) => client.query({ name: "point", text: point, values: [id] });
  const unnamed: Send = (client, id) => client.query(point, [id]);
  const literal: Send = (client, id) => client.query(`select id, customer_id, note from orders where id = ${id}`);
  const called: Send = (client, id) =>
    new Promise((resolve, reject) => {
      client.query(point, [id], (error, result) => (error === null ? resolve(result) : reject(error)));
    });
  const variants: readonly (readonly [name: string, send: Send, trial: GateExperiment, counted: boolean])[] = [
    ["unnamed, other table on trial", unnamed, experiment("customers", 1), true],
    ["unnamed, control", unnamed, experiment("orders", 0), true],
    ["unnamed, treatment", unnamed, experiment("orders", 1), false],
    ["prepared, control", named, experiment("orders", 0), true],
    ["prepared, treatment", named, experiment("orders", 1), false],
    ["literal in the text, control", literal, experiment("orders", 0), false],
    ["callback, control", called, experiment("orders", 0), true],
  ];

  const block = async (client: pg.Client, send: Send): Promise<number> => {
    const before = cpuUs();
    for (let i = 0; i < queries; i += 1) await send(client, 1 + (i % 20_000));
    return (cpuUs() - before) / queries;
  };
  let worst = 0;
  for (const [name, send, trial, counted] of variants) {
    interception.setExperiments([trial]);
    for (let i = 0; i < 3_000; i += 1) await Promise.all([send(bare, i), send(hooked, i)]);
    const pairs: (readonly [number, number])[] = [];
    for (let round = 0; round < rounds; round += 1) {
      if (round % 2 === 0) pairs.push([await block(bare, send), await block(hooked, send)]);
      else {
        const second = await block(hooked, send);
        pairs.push([await block(bare, send), second]);
      }
    }
    const { median, low, high } = medianOf(pairs.map(([without, withHook]) => withHook / without));
    if (counted) worst = Math.max(worst, median);
    say(
      `${name.padEnd(32)} ${medianOf(pairs.map(([without]) => without)).median.toFixed(1)} µs of CPU per query without; ` +
        `with the hook × ${median.toFixed(4)} (${low.toFixed(4)} to ${high.toFixed(4)})`,
    );
  }
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
  say(JSON.stringify({ cpuRatio: Number(worst.toFixed(4)), firstTextUs }));
} finally {
  await Promise.all([bare.end(), hooked.end()]);
  await server.stop();
}
