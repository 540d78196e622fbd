import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { StatementCounters } from "../../src/domain/index.ts";
import { blockBetween, type SnapshotRow, type StatementsSnapshot } from "../../src/workload/index.ts";

const counters = (times: readonly number[], rows = times.length): StatementCounters => {
  const totalMs = times.reduce((sum, time) => sum + time, 0);
  const mean = totalMs / times.length;
  const variance = times.reduce((sum, time) => sum + (time - mean) ** 2, 0) / times.length;
  return {
    calls: times.length,
    totalMs,
    stddevMs: times.length === 0 ? 0 : Math.sqrt(variance),
    rows,
    sharedBlocksHit: times.length * 3,
    sharedBlocksRead: 0,
    tempBlocks: 0,
    walBytes: times.length * 100,
  };
};

const row = (key: string, id: string, times: readonly number[], since: Date | null = null): SnapshotRow => ({
  key,
  id,
  queryId: key,
  scope: { role: "app", searchPath: ["public"] },
  text: "select 1",
  classification: { kind: "statement", fingerprint: id, verb: "select", label: "select" },
  counters: counters(times),
  since,
});

const start = new Date("2026-01-01T00:00:00Z");
const snapshot = (rows: readonly SnapshotRow[], changes: Partial<StatementsSnapshot> = {}): StatementsSnapshot => ({
  takenAt: start,
  serverStartedAt: start,
  resetAt: start,
  deallocations: 0,
  rows,
  statements: [],
  ignoredKeys: new Set(),
  hidden: 0,
  ...changes,
});

describe("a block", () => {
  it("holds what happened between two snapshots, with its own mean and deviation", () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 0.01, max: 1e4, noNaN: true }), { minLength: 1, maxLength: 50 }),
        fc.array(fc.double({ min: 0.01, max: 1e4, noNaN: true }), { minLength: 1, maxLength: 50 }),
        (early, late) => {
          const block = blockBetween(snapshot([row("1", "q", early)]), snapshot([row("1", "q", [...early, ...late])]));
          const expected = counters(late);
          const found = block.statements.get("q");
          expect(block.voidReason).toBeNull();
          expect(found?.calls).toBe(late.length);
          expect(found?.totalMs).toBeCloseTo(expected.totalMs, 5);
          expect(found?.walBytes).toBe(late.length * 100);
          // Null is allowed: where the digits do not suffice. A number must be right.
          if (typeof found?.stddevMs === "number") {
            expect(Math.abs(found.stddevMs - (expected.stddevMs ?? 0))).toBeLessThan(
              0.01 * (expected.stddevMs ?? 0) + 1e-2,
            );
          }
        },
      ),
    );
  });

  it("has a deviation in ordinary cases", () => {
    const early = Array.from({ length: 1000 }, (_, i) => 1 + (i % 7));
    const block = blockBetween(snapshot([row("1", "q", early)]), snapshot([row("1", "q", [...early, 2, 4])]));
    expect(block.statements.get("q")?.stddevMs).toBeCloseTo(1, 6);
  });

  it("says nothing of a deviation that drowns in the counters before", () => {
    const early = { ...counters([1]), calls: 1e9, totalMs: 1e12, stddevMs: 1 };
    const late = { ...early, calls: 1e9 + 2, totalMs: 1e12 + 2000 };
    const block = blockBetween(
      snapshot([{ ...row("1", "q", [1]), counters: early }]),
      snapshot([{ ...row("1", "q", [1]), counters: late }]),
    );
    expect(block.statements.get("q")).toMatchObject({ calls: 2, stddevMs: null });
  });

  it("adds up the query ids of one statement, and begins new ones at zero", () => {
    const block = blockBetween(
      snapshot([row("1", "q", [1])]),
      snapshot([row("1", "q", [1, 3]), row("2", "q", [5, 5]), row("3", "idle", [])]),
    );
    expect(block.statements.get("q")).toMatchObject({ calls: 3, totalMs: 13 });
    expect(block.statements.get("q")?.stddevMs).toBeCloseTo(Math.sqrt(8 / 9), 9);
    expect([...block.statements.keys()]).toEqual(["q"]);
  });

  const before = snapshot([row("1", "q", [1, 2]), row("2", "p", [1])]);
  const later = new Date("2026-01-02T00:00:00Z");
  it.each<[string, StatementsSnapshot, RegExp]>([
    ["a restart", snapshot(before.rows, { serverStartedAt: later }), /restarted/],
    ["a reset", snapshot(before.rows, { resetAt: later }), /was reset/],
    [
      "counters that went back",
      snapshot([row("1", "q", [1]), row("2", "p", [1])]),
      /counters of a statement were reset/,
    ],
    ["a statement that is gone", snapshot([row("2", "p", [1])], { deallocations: 1 }), /to make room/],
    [
      "a statement that went and came back",
      snapshot([row("1", "q", [1, 2, 3], later), row("2", "p", [1])], { deallocations: 1 }),
      /to make room/,
    ],
  ])("is void after %s", (_, after, reason) => {
    expect(blockBetween(before, after).voidReason).toMatch(reason);
  });

  it("stays sound when only statements that do not matter were thrown out", () => {
    const after = snapshot([row("2", "p", [1, 2])], { deallocations: 3 });
    const block = blockBetween(before, after, new Set(["p"]));
    expect(block.voidReason).toBeNull();
    expect(block.statements.get("p")?.calls).toBe(1);
    expect(blockBetween(before, snapshot(before.rows, { deallocations: 3 })).voidReason).toBeNull();
  });
});
