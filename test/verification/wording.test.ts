import { expect, it } from "vitest";
import { judge } from "../../src/verification/index.ts";
import { block, counters } from "./traffic.ts";

const steady = (ms: number) =>
  Array.from({ length: 10 }, (_, i) => block({ read: counters(100, 100 * ms * (1 + ((i * 7) % 10) / 1000)) }));

it.each([
  [0.003, /−99\.9 %/],
  [0.5, /−95 %/],
  [9.9, /^9\.\d+ ms/],
  [12, /\+20 %/],
  [470, /×47/],
])("a change from 10 to %d ms is told as a person would: %s", (after, expected) => {
  const [statement] = judge({
    before: steady(10),
    after: steady(after),
    affected: ["read"],
    writes: [],
    control: [],
  }).statements;
  expect(statement?.reason.replace("10.0 ms before, ", "")).toMatch(expected);
});
