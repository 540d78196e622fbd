import type { Call } from "./application.ts";
import type { Expected } from "./checker.ts";

/** What happens in the middle. */
export type Disturbance =
  | "reset"
  | "crash"
  | "ddl"
  | "application killed"
  | "store lost"
  | "conductor away"
  | "stop"
  | "ended by a person";

export interface Scenario {
  readonly name: string;
  /** Of `orders`; with a control it is an experiment with two definitions, without a canary. */
  readonly treatment: readonly string[];
  readonly control?: readonly string[];
  readonly reads: readonly Call[];
  readonly disturbance?: Disturbance;
  readonly maxMs: number;
  readonly margin?: number;
  readonly expected: Expected;
}

const byCustomer: Call = { sql: "select id, note from orders where customer_id = $1 order by id", below: 5000 };
const byId: Call = { sql: "select note from orders where id = $1", below: 60_000 };
const latest: Call = { sql: "select id, note from orders order by created_at desc limit 5" };
/** With an index by time the planner reads it from the end until it has one, which is nearly all of it. */
export const lured: Call = { sql: "select id from orders where note = 'rare' order by created_at desc limit 1" };

const nothing: Expected = { index: null, outcomes: [], winner: null, names: [], voids: [], others: [] };
const customerWins: Expected = { ...nothing, index: "btree (customer_id)", outcomes: ["better"], winner: "treatment" };
const good = { treatment: ["customer_id"], reads: [byCustomer, byId], maxMs: 120_000 };

/** In what a run can consist; each is run with and without kills. */
export const scenarios: readonly Scenario[] = [
  { ...good, name: "helps", expected: customerWins },
  {
    name: "lures the planner",
    treatment: ["created_at"],
    reads: [latest, lured, byId],
    maxMs: 120_000,
    expected: { ...nothing, outcomes: ["worse"] },
  },
  {
    name: "unused",
    treatment: ["note", "w"],
    reads: [byId, byCustomer],
    maxMs: 60_000,
    expected: { ...nothing, outcomes: ["undecided", "equivalent"] },
  },
  {
    name: "A/B, treatment better",
    control: ["note"],
    treatment: ["customer_id"],
    reads: [byCustomer, byId],
    maxMs: 120_000,
    expected: customerWins,
  },
  {
    name: "A/B, control better",
    control: ["customer_id"],
    treatment: ["note"],
    reads: [byCustomer, byId],
    maxMs: 120_000,
    expected: { ...customerWins, outcomes: ["worse"], winner: "control" },
  },
  {
    name: "A/B, equal",
    control: ["customer_id", "id"],
    treatment: ["customer_id", "created_at"],
    reads: [byCustomer],
    maxMs: 90_000,
    margin: 0.3,
    expected: { ...nothing, outcomes: ["equivalent"] },
  },
  {
    ...good,
    name: "statistics reset",
    disturbance: "reset",
    expected: { ...customerWins, voids: ["statistics were reset"] },
  },
  {
    ...good,
    name: "server crash",
    disturbance: "crash",
    expected: { ...customerWins, voids: ["the server was restarted"] },
  },
  {
    ...good,
    name: "foreign DDL",
    disturbance: "ddl",
    expected: { ...customerWins, voids: ["the table's indexes changed"], others: ["others"] },
  },
  { ...good, name: "application killed", disturbance: "application killed", expected: customerWins },
  { ...good, name: "store lost", disturbance: "store lost", expected: customerWins },
  { ...good, name: "conductor away", disturbance: "conductor away", expected: customerWins },
  { ...good, name: "stop switch", disturbance: "stop", expected: customerWins },
  {
    ...good,
    name: "ended by a person",
    disturbance: "ended by a person",
    // Nobody's index is applied, whatever was seen.
    expected: { ...nothing, outcomes: ["better", "undecided"], names: ["seen enough"] },
  },
];
