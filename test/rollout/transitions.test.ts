import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { DeploymentState } from "../../src/domain/index.ts";
import { advance, type DeploymentEventName, transitions } from "../../src/rollout/index.ts";
import { readableName } from "../../src/rollout/names.ts";
import { systemClock } from "../../src/runtime/index.ts";
import type { Store, Transition } from "../../src/store/index.ts";
import { someDeployment } from "./fixtures/values.ts";

const states = Object.keys(transitions) as DeploymentState[];
const events = Object.keys(transitions.proposed) as DeploymentEventName[];
const terminal = new Set<DeploymentState>(["rolled_back", "done", "failed", "declined"]);

/** Every walk through the table, as far as it goes. */
const walk = fc.array(fc.nat(100), { maxLength: 30 }).map((choices) => {
  const path: DeploymentState[] = ["proposed"];
  for (const choice of choices) {
    const here = path.at(-1) ?? "proposed";
    const next = events.map((event) => transitions[here][event]).filter((state) => state !== null);
    if (next.length === 0) break;
    path.push(next[choice % next.length] ?? here);
  }
  return path;
});

describe("the transition table", () => {
  test("names every event in every state", () => {
    for (const state of states) expect(Object.keys(transitions[state]).toSorted()).toEqual(events.toSorted());
  });

  test("leads from a proposal to every state, and from every state to an end", () => {
    const reachable = (from: DeploymentState): Set<DeploymentState> => {
      const seen = new Set([from]);
      for (const state of seen) {
        for (const event of events) {
          const next = transitions[state][event];
          if (next !== null) seen.add(next);
        }
      }
      return seen;
    };
    expect([...reachable("proposed")].toSorted()).toEqual(states.toSorted());
    for (const state of states) expect([...reachable(state)].some((other) => terminal.has(other))).toBe(true);
    for (const state of terminal) expect([...reachable(state)]).toEqual([state]);
  });

  test("has nothing built that was not approved, nothing kept that was not verified, nothing dropped that was not built", () => {
    fc.assert(
      fc.property(walk, (path) => {
        const before = (state: DeploymentState, needed: DeploymentState): boolean =>
          !path.includes(state) || path.slice(0, path.indexOf(state)).includes(needed);
        return (
          before("building", "approved") &&
          before("verifying", "building") &&
          before("settled", "verifying") &&
          before("promoting", "verifying") &&
          before("retiring", "building") &&
          (before("done", "building") || before("done", "dropping") || before("done", "trying")) &&
          before("dropping", "approved") &&
          before("trying", "approved") &&
          before("rolling_back", "building") &&
          (before("rolled_back", "rolling_back") || before("rolled_back", "trying"))
        );
      }),
    );
  });
});

describe("a step", () => {
  const recording = () => {
    const steps: Transition[] = [];
    const store = {
      deployments: {
        transition: (_: string, step: Transition) => {
          steps.push(step);
          return Promise.resolve(null);
        },
      },
    } as unknown as Store;
    return { steps, store };
  };

  test("that the table does not have is a fault of the program, and nothing is stored", () => {
    fc.assert(
      fc.property(fc.constantFrom(...states), fc.constantFrom(...events), (state, event) => {
        const { steps, store } = recording();
        const take = () =>
          void advance({ store, clock: systemClock }, someDeployment({ state }), event, { actor: "test" });
        const to = transitions[state][event];
        if (to === null) expect(take).toThrow("cannot");
        else take();
        expect(steps.map((step) => [step.from, step.to])).toEqual(to === null ? [] : [[state, to]]);
      }),
    );
  });
});

describe("a readable name", () => {
  const definition = (table: string, ...columns: readonly string[]) => ({
    table: { schema: "public", name: table },
    method: "btree" as const,
    keys: columns.map((column) => ({ column, direction: "asc" as const, nulls: "last" as const })),
    include: [],
  });

  test("is table and key columns, numbered from the second of its kind on", () => {
    const orders = definition("orders", "customer_id", "created_at");
    expect([0, 1, 2].map((attempt) => readableName(orders, attempt))).toEqual([
      "orders_customer_id_created_at_idx",
      "orders_customer_id_created_at_idx1",
      "orders_customer_id_created_at_idx2",
    ]);
  });

  test("never exceeds 63 bytes, never cuts a character in two, and keeps its number", () => {
    const part = fc.string({ unit: "grapheme", minLength: 1, maxLength: 63 });
    fc.assert(
      fc.property(part, fc.array(part, { minLength: 1, maxLength: 3 }), fc.nat(999), (table, columns, attempt) => {
        const name = readableName(definition(table, ...columns), attempt);
        expect(Buffer.byteLength(name)).toBeLessThanOrEqual(63);
        expect(Buffer.from(name).toString()).toBe(name);
        expect(name.endsWith(attempt === 0 ? "_idx" : `_idx${String(attempt)}`)).toBe(true);
      }),
    );
  });
});
