import { ascending, type IndexDefinition } from "../../../domain/index.ts";
import type { QueryShape } from "../../shape.ts";
import { counts } from "./distribution.ts";
import { ecommerceMix } from "./mix.ts";

const table = (name: string) => ({ schema: "public", name });

/** What every page of the shop waits for. */
export const helpfulIndex: IndexDefinition = {
  table: table("orders"),
  method: "btree",
  keys: [ascending("customer_id")],
  include: [],
};

/**
 * The planner takes it for whatever is asked for in the order of time, and knows nothing of ids that grow with time: it expects the events of an old page
 * soon, and reads nearly the whole table backwards, row by row, before it comes to them.
 */
export const harmfulIndex: IndexDefinition = {
  table: table("events"),
  method: "btree",
  keys: [ascending("created_at")],
  include: [],
};

const latestEvents: QueryShape = {
  name: "latest events",
  sql: "select id, event_type, customer_id, created_at from events order by created_at desc limit 20",
  kind: "read",
  weight: 1,
  planted: true,
  parameters: () => [],
};

const archivePage: QueryShape = {
  name: "page of the events' archive",
  sql: "select id, event_type, customer_id, created_at from events where id < $1 order by created_at desc limit 20",
  kind: "read",
  weight: 6,
  planted: false,
  parameters: (random) => [Math.floor(counts.events * (0.01 + 0.09 * random()))],
};

const busy: ReadonlyMap<string, number> = new Map([
  ["orders of a customer", 4],
  ["open orders of a customer", 1],
  ["order by id", 4],
  ["move an order on", 2],
  ["place an order", 1],
  ["record an event", 3],
]);

/** A part of the shop's traffic, on the two tables that get an index on trial, so that a verdict takes seconds and not hours. */
export const canaryMix: readonly QueryShape[] = [
  ...ecommerceMix.flatMap((shape) => {
    const weight = busy.get(shape.name);
    return weight === undefined ? [] : [{ ...shape, weight }];
  }),
  latestEvents,
  archivePage,
];
