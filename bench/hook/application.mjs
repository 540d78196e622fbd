/**
 * One process of an application, as it is run: plain JavaScript, the built package, nothing in between. Its orders come as JSON in the first argument, the URL of a
 * server with a table `orders`, how many pairs of slices to time, and of how many queries each; what it measured it prints as one line of JSON.
 */
import pg from "pg";
import { intercept } from "indexpilot/driver";
import { statementReader } from "../../dist/driver/reading.js";
import { systemClock } from "../../dist/runtime/index.js";

const orders = JSON.parse(process.argv[2] ?? "null");
const client = new pg.Client({ connectionString: orders.url });
await client.connect();
const without = Reflect.get(pg.Client.prototype, "query");
/** What the hook takes for the driver's class: the client itself keeps its method. */
const hooked = { prototype: { query: without } };
let measured = 0;
const interception = intercept({ Client: hooked }, { observe: () => void (measured += 1) });
await interception.ready;
const withHook = hooked.prototype.query;

const experiment = (table, share) => ({ ...orders.experiment, table: { schema: "public", name: table }, share });
const point = "select id, customer_id, note from orders where id = $1";
const named = (query, id) => query.call(client, { name: "point", text: point, values: [id] });
const unnamed = (query, id) => query.call(client, point, [id]);
const literal = (query, id) => query.call(client, `select id, customer_id, note from orders where id = ${id}`);
const called = (query, id) =>
  new Promise((resolve, reject) => {
    query.call(client, point, [id], (error, result) => (error === null ? resolve(result) : reject(error)));
  });
const [control, treatment] = [[experiment("orders", 0)], [experiment("orders", 1)]];
/** Counted are those whose texts are known and go out as they are. */
const kinds = [
  { name: "unnamed, nothing on trial", send: unnamed, trial: [], counted: true },
  { name: "unnamed, other table on trial", send: unnamed, trial: [experiment("customers", 1)], counted: true },
  { name: "unnamed, control", send: unnamed, trial: control, counted: true },
  { name: "prepared, control", send: named, trial: control, counted: true },
  { name: "callback, control", send: called, trial: control, counted: true },
  { name: "unnamed, treatment", send: unnamed, trial: treatment, counted: false },
  { name: "prepared, treatment", send: named, trial: treatment, counted: false },
  { name: "literal in the text, control", send: literal, trial: control, counted: false },
];

const cpuUs = () => {
  const { user, system } = process.cpuUsage();
  return user + system;
};

const slice = async (query, send) => {
  const before = cpuUs();
  for (let i = 0; i < orders.queries; i += 1) await send(query, 1 + i);
  return (cpuUs() - before) / orders.queries;
};

/** Both in turns (ABBA), so that they meet whatever else the machine does. */
const pair = async (one, two, send, turned) => {
  if (!turned) return [await slice(one, send), await slice(two, send)];
  const second = await slice(two, send);
  return [await slice(one, send), second];
};

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
const ratioOf = (pairs) => median(pairs.map(([one, two]) => two / one));

const ratios = {};
const known = [];
const noise = [];
for (const { name, send, trial, counted } of kinds) {
  interception.setExperiments(trial);
  for (let i = 0; i < 2_000; i += 1) for (const query of [without, withHook]) await send(query, i);
  const pairs = [];
  for (let i = 0; i < orders.pairs; i += 1) {
    pairs.push(await pair(without, withHook, send, i % 2 === 1));
    if (i % kinds.length === 0) noise.push(await pair(without, without, send, (i / kinds.length) % 2 === 1));
  }
  if (counted) known.push(...pairs);
  ratios[name] = { ratio: ratioOf(pairs), cpuUs: median(pairs.map(([one]) => one)), counted };
}
await client.end();

const text = (i) =>
  `select o.id, o.total, c.name as name_${i} from orders o join customers c on c.id = o.customer_id left join items i on i.order_id = o.id ` +
  "where o.customer_id = $1 and o.created_at > $2 and o.status in ('new', 'paid') order by o.created_at desc limit 10";
const firsts = [];
for (let turn = 0; turn < 4; turn += 1) {
  const { read } = statementReader(treatment, systemClock);
  for (let i = 0; i < 100; i += 1) {
    const before = cpuUs();
    if (read(text(turn * 100 + i)).gated("treatment") === null) throw new Error("not gated");
    if (turn > 0) firsts.push(cpuUs() - before);
  }
}
if (measured === 0) throw new Error("the hook measured nothing");
const result = {
  ratios,
  known: ratioOf(known),
  noise: ratioOf(noise),
  firstTextUs: median(firsts),
  characters: text(0).length,
};
process.stdout.write(`${JSON.stringify(result)}\n`);
