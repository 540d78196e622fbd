import { describe, expect, it } from "vitest";
import type { Block, TableCounters } from "../../src/domain/index.ts";
import { seededRandom } from "../../src/runtime/index.ts";
import { isDecided, judge, type Evidence } from "../../src/verification/index.ts";
import { block, counters } from "./traffic.ts";

/** Blocks with one per cent of noise; `means` in ms by statement, 100 calls each. */
const period = (means: Readonly<Record<string, number>>, seed = 1, blocks = 12): Block[] => {
  const random = seededRandom(seed);
  return Array.from({ length: blocks }, () =>
    block(
      Object.fromEntries(
        Object.entries(means).map(([id, mean]) => [id, counters(100, 100 * mean * (0.98 + 0.04 * random()))]),
      ),
    ),
  );
};

const evidence = (over: Partial<Evidence>): Evidence => ({
  before: period({ read: 40, write: 1, other: 2 }),
  after: period({ read: 40, write: 1, other: 2 }, 5),
  affected: ["read"],
  writes: ["write"],
  control: ["other"],
  ...over,
});

describe("a verdict", () => {
  it("is better when the statements concerned became faster, and says by how much", () => {
    const verdict = judge(evidence({ after: period({ read: 4, write: 1, other: 2 }, 5) }));
    expect(verdict.outcome).toBe("better");
    expect(verdict.change).toBeCloseTo((100 * 4 + 100) / (100 * 40 + 100) - 1, 1);
    expect(verdict.interval?.high).toBeLessThan(-0.8);
    expect(verdict.interval?.level).toBe(0.95);
    expect(verdict.statements[0]).toMatchObject({
      statementId: "read",
      outcome: "better",
      callsBefore: 1200,
      blocksAfter: 12,
    });
    expect(verdict.statements[1]).toMatchObject({ statementId: "write", outcome: "equivalent" });
    expect(isDecided(verdict)).toBe(true);
  });

  it("is worse when they became slower", () => {
    expect(judge(evidence({ after: period({ read: 60, write: 1, other: 2 }, 5) })).outcome).toBe("worse");
  });

  it("is equivalent when the whole interval lies within the margin", () => {
    const verdict = judge(evidence({}));
    expect(verdict.outcome).toBe("equivalent");
    expect(verdict.reason).toContain("within ±5.0 %");
  });

  it("is equivalent, not better, for a certain but tiny gain", () => {
    const verdict = judge(evidence({ after: period({ read: 37.4, write: 0.935, other: 2 }, 5), margin: 0.1 }));
    expect(verdict.interval?.high).toBeLessThan(0);
    expect(verdict.outcome).toBe("equivalent");
  });

  it("is undecided when the interval reaches both beyond the margin and across zero", () => {
    const noisy = (seed: number): Block[] =>
      Array.from({ length: 10 }, (_, i) =>
        block({ read: counters(10, 400 * (1 + ((i * seed) % 7) / 3)), other: counters(10, 20) }),
      );
    const verdict = judge(evidence({ before: noisy(3), after: noisy(5), writes: [] }));
    expect(verdict.outcome).toBe("undecided");
    expect(verdict.reason).toContain("more blocks are needed");
    expect(isDecided(verdict)).toBe(false);
  });

  it("names a statement that got worse while the index is better overall", () => {
    const verdict = judge(evidence({ after: period({ read: 4, write: 2, other: 2 }, 5) }));
    expect(verdict.outcome).toBe("better");
    expect(verdict.reason).toMatch(/worse on one statement while better overall: write \+\d+ %/);
  });

  it("takes out the drift of untouched statements", () => {
    const slowed = judge(evidence({ after: period({ read: 80, write: 2, other: 4 }, 5) }));
    expect(slowed.outcome).toBe("equivalent");
    expect(slowed.drift).toBeCloseTo(1, 1);
    expect(slowed.controlStatements).toBe(1);
    const without = judge(evidence({ after: period({ read: 80, write: 2, other: 4 }, 5), control: [] }));
    expect(without).toMatchObject({ outcome: "worse", drift: null, controlStatements: 0 });
    expect(without.reason).toContain("no untouched statements");
  });

  it("compares short statements with short ones, and long with long", () => {
    const before = period({ read: 40, write: 0.1, short: 0.05, long: 90 }, 1, 30);
    const after = period({ read: 20, write: 0.15, short: 0.075, long: 45 }, 5, 30);
    const verdict = judge(evidence({ before, after, control: ["short", "long"] }));
    expect(verdict).toMatchObject({ outcome: "equivalent", controlStatements: 1 });
    expect(verdict.statements.map((one) => one.outcome)).toEqual(["equivalent", "equivalent"]);
  });

  it("does not take a stall in a statement of microseconds for a drift, and allows for one by a factor of two", () => {
    // A block of the short one with a stall is a thousand times as long; before the change more of them were than after it.
    const random = seededRandom(7);
    const stalled = (blocks: readonly Block[], share: number): Block[] =>
      blocks.map((one) =>
        block({ ...Object.fromEntries(one.statements), short: counters(100, random() < share ? 100 : 0.5) }),
      );
    const before = stalled(period({ read: 11, write: 1 }), 1 / 4);
    const after = (read: number): Block[] => stalled(period({ read, write: 1 }, 5, 60), 1 / 20);
    const found = judge(evidence({ before, after: after(0.02), writes: [], control: ["short"] }));
    expect(found).toMatchObject({ outcome: "better", drift: null, controlStatements: 0 });
    expect(found.reason).toContain(
      "too noisy to tell a drift of the whole server, so one by a factor of 2 is allowed for",
    );
    const little = judge(evidence({ before, after: after(7), writes: [], control: ["short"] }));
    expect(little.outcome).toBe("undecided");
    // What such a drift may explain is not shown, and so makes nothing easier to show of the other statement.
    const two = judge(evidence({ before, after: after(7), control: ["short"] })).statements;
    expect(two.map(({ outcome, interval }) => [outcome, interval?.level])).toEqual([
      ["undecided", 0.975],
      ["undecided", 0.975],
    ]);
  });

  it("does not count a change of the mix as a change of speed", () => {
    const fewerReads = period({ read: 40, write: 1, other: 2 }, 5).map((one) =>
      block({ ...Object.fromEntries(one.statements), read: counters(5, 200), write: counters(5000, 5000) }),
    );
    const verdict = judge(evidence({ after: fewerReads }));
    expect(verdict.outcome).toBe("equivalent");
  });

  it("counts mean time by calls, so that one slow block of few calls does not outweigh the rest", () => {
    const after = period({ read: 40, write: 1, other: 2 }, 5);
    after[3] = block({ read: counters(1, 400), write: counters(100, 100), other: counters(100, 200) });
    const verdict = judge(evidence({ after }));
    expect(verdict.statements[0]?.meanMsAfter).toBeLessThan(41);
  });
});

describe("the write side", () => {
  const walled = (blocks: readonly Block[], walBytes: number): Block[] =>
    blocks.map((one) => ({
      ...one,
      statements: new Map(
        [...one.statements].map(([id, of]) => [
          id,
          id === "write" ? { ...of, rows: 200, walBytes: 200 * walBytes } : of,
        ]),
      ),
    }));

  it("is told apart: what writes pay in time, and in log per row", () => {
    const verdict = judge(
      evidence({
        before: walled(period({ read: 40, write: 1, other: 2 }), 150),
        after: walled(period({ read: 4, write: 1.5, other: 2 }, 5), 240),
      }),
    );
    expect(verdict).toMatchObject({
      outcome: "better",
      writes: { outcome: "worse", walPerRowBefore: 150, walPerRowAfter: 240 },
    });
    expect(verdict.writes?.change).toBeCloseTo(0.5, 1);
    expect(verdict.reason).toMatch(/writes of the table \+\d+ %.*per row 150 bytes before, 240 after/);
  });

  it("is nothing where nothing writes, and has no log where none is counted", () => {
    expect(judge(evidence({ writes: [] })).writes).toBeNull();
    expect(judge(evidence({})).writes).toMatchObject({ outcome: "equivalent", walPerRowBefore: null });
  });
});

describe("heap-only updates", () => {
  const orders = 4711;
  const updated = (blocks: readonly Block[], share: number, updates = 200, seed = 3): Block[] => {
    const random = seededRandom(seed);
    return blocks.map((one) => {
      const hotUpdated = Array.from({ length: updates }, random).filter((drawn) => drawn < share).length;
      const of: TableCounters = { inserted: 0, updated: updates, hotUpdated, deleted: 0 };
      return { ...one, tables: new Map([[orders, of]]) };
    });
  };
  const before = period({ read: 40, write: 1, other: 2 });
  const after = period({ read: 4, write: 1, other: 2 }, 5);

  it("that are lost are said, and do not decide", () => {
    const verdict = judge(evidence({ table: orders, before: updated(before, 0.95), after: updated(after, 0.4) }));
    expect(verdict).toMatchObject({ outcome: "better", writes: { outcome: "equivalent" } });
    const hot = verdict.writes?.hot;
    expect(hot?.shareBefore).toBeCloseTo(0.95, 1);
    expect(hot?.shareAfter).toBeCloseTo(0.4, 1);
    expect(hot?.interval?.low).toBeLessThan(-0.55);
    expect(hot?.interval?.high).toBeGreaterThan(-0.55);
    expect(hot?.interval?.high).toBeLessThan(0);
    expect(verdict.reason).toMatch(
      /heap-only \(HOT\) updates 9\d % before, \d\d % after \(between −.* and −.* points\): more updates make an entry/,
    );
  });

  it("that stay as they were are said without alarm", () => {
    const verdict = judge(
      evidence({ table: orders, before: updated(before, 0.9), after: updated(after, 0.9, 200, 7) }),
    );
    expect(verdict.writes?.hot?.interval?.low).toBeLessThan(0);
    expect(verdict.writes?.hot?.interval?.high).toBeGreaterThan(0);
    expect(verdict.reason).toContain("points)");
    expect(verdict.reason).not.toContain("more updates make an entry");
  });

  it("are not known from a handful, though all were alike", () => {
    const few = judge(evidence({ table: orders, before: updated(before, 1, 1), after: updated(after, 0, 1) }));
    const many = judge(evidence({ table: orders, before: updated(before, 1), after: updated(after, 0) }));
    expect(few.writes?.hot).toMatchObject({ shareBefore: 1, shareAfter: 0, change: -1 });
    expect(few.writes?.hot?.interval?.high).toBeGreaterThan(-0.75);
    expect(many.writes?.hot?.interval?.high).toBeLessThan(-0.9);
    expect(many.writes?.hot?.interval?.low).toBe(-1);
  });

  it("need blocks with updates on both sides, and counters that were read", () => {
    const four = updated(before, 0.9).map((one, i) => (i < 4 ? one : { ...one, tables: new Map() }));
    expect(judge(evidence({ table: orders, before: four, after: updated(after, 0.1) })).writes?.hot).toMatchObject({
      change: null,
      interval: null,
    });
    const silent = updated(before, 0.9).map((one) => ({ ...one, tables: new Map() }));
    expect(judge(evidence({ table: orders, before: silent, after: silent })).writes?.hot).toEqual({
      shareBefore: null,
      shareAfter: null,
      change: null,
      interval: null,
    });
    expect(judge(evidence({ table: orders })).writes?.hot).toBeNull();
    expect(judge(evidence({ before: updated(before, 0.9), after: updated(after, 0.1) })).writes?.hot).toBeNull();
  });
});

describe("missing data", () => {
  it.each<[string, Partial<Evidence>, RegExp]>([
    ["no blocks after", { after: [] }, /too few blocks: 12 before and 0 after/],
    [
      "four blocks after",
      { after: period({ read: 1, write: 1, other: 2 }).slice(0, 4) },
      /4 after the change, 5 are needed/,
    ],
    [
      "a lower minimum than five asked for",
      { after: period({ read: 1, write: 1, other: 2 }).slice(0, 4), minimumBlocks: 2 },
      /5 are needed/,
    ],
    ["no calls before", { before: period({ other: 2 }) }, /no calls before the change/],
    ["no calls after", { after: period({ write: 1, other: 2 }) }, /1 of 1 not at all since the change/],
    [
      "calls in one block only",
      {
        after: period({ write: 1, other: 2 }).map((one, i) =>
          i === 0 ? block({ ...Object.fromEntries(one.statements), read: counters(1000, 1000) }) : one,
        ),
      },
      /called in fewer than 5 blocks/,
    ],
    ["no statement at all", { affected: [], writes: [] }, /no calls before/],
  ])("is never a success: %s", (_, over, reason) => {
    const verdict = judge(evidence(over));
    expect(verdict).toMatchObject({ outcome: "undecided", change: null, interval: null });
    expect(verdict.reason).toMatch(reason);
  });

  it("leaves void blocks out and says why they are void", () => {
    const after = period({ read: 4, write: 1, other: 2 }, 5).map((one, i) =>
      i < 8 ? { ...one, voidReason: i < 5 ? "statistics were reset" : "server restarted" } : one,
    );
    const verdict = judge(evidence({ after }));
    expect(verdict.outcome).toBe("undecided");
    expect(verdict.reason).toContain(
      "8 void blocks after the change (5 × statistics were reset, 3 × server restarted)",
    );
    expect(verdict.statements.every((one) => one.outcome === "undecided")).toBe(true);
  });

  it("of a statement that hardly mattered does not stop the verdict over the rest", () => {
    const before = period({ read: 40, write: 1, rare: 0.1, other: 2 });
    const verdict = judge(
      evidence({ before, after: period({ read: 4, write: 1, other: 2 }, 5), affected: ["read", "rare"] }),
    );
    expect(verdict.outcome).toBe("better");
    expect(verdict.statements.find((one) => one.statementId === "rare")).toMatchObject({
      outcome: "undecided",
      meanMsAfter: null,
      change: null,
    });
  });
});
