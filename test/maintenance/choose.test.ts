import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Bloat } from "../../src/domain/index.ts";
import { chooseRebuilds } from "../../src/maintenance/index.ts";

type Candidate = Parameters<typeof chooseRebuilds>[0][number];

const limits = { indexes: 3, indexBytes: 1e9, totalBytes: 1.5e9 };
const bloated = (share: number, sizeBytes: number): Bloat => ({
  kind: "shown",
  method: "statistics",
  share,
  low: share,
  high: share,
  neededBytes: Math.round(sizeBytes * (1 - share)),
});
const candidate = (name: string, share: number, sizeBytes: number, changes: Partial<Candidate> = {}): Candidate => ({
  oid: 1,
  name,
  method: "btree",
  sizeBytes,
  tableBytes: sizeBytes,
  bloat: bloated(share, sizeBytes),
  mayBeBuilt: true,
  leaves: false,
  returnedAfterDays: null,
  ...changes,
});

describe("a run of rebuilds", () => {
  test("takes first what gives back most for each byte written, until it is full", () => {
    const { chosen, declined } = chooseRebuilds(
      [
        candidate("half", 0.5, 8e8),
        candidate("most", 0.8, 4e8),
        candidate("little", 0.3, 2e8),
        candidate("large", 0.45, 9e8),
      ],
      0.2,
      limits,
    );
    expect(chosen.map(({ name }) => name)).toEqual(["most", "half", "little"]);
    expect(declined.map(({ name, code }) => [name, code])).toEqual([["large", "run_is_full"]]);
  });

  test.each<[string, Candidate]>([
    ["mode", candidate("i", 0.5, 1e8, { mayBeBuilt: false })],
    ["leaves", candidate("i", 0.5, 1e8, { leaves: true })],
    ["method", candidate("i", 0.5, 1e8, { method: "brin" })],
    ["returns_too_soon", candidate("i", 0.5, 1e8, { returnedAfterDays: 2 })],
    ["too_little", candidate("i", 0.5, 1e6)],
    ["too_large", candidate("i", 0.5, 2e9)],
    ["costs_more", candidate("i", 0.5, 1e8, { tableBytes: 4e9 })],
  ])("declines with a reason: %s", (code, one) => {
    expect(chooseRebuilds([one], 0.2, limits)).toMatchObject({ chosen: [], declined: [{ code }] });
  });

  test("never touches what is below the threshold or withheld, and never goes over a limit", () => {
    const hidden: Bloat = { kind: "withheld", code: "statistics_stale", reason: "", remedy: "" };
    expect(
      chooseRebuilds([candidate("i", 0.19, 1e9), candidate("j", 0.9, 1e8, { bloat: hidden })], 0.2, limits),
    ).toEqual({
      chosen: [],
      declined: [],
    });
    const four = ["a", "b", "c", "d"].map((name) => candidate(name, 0.5, 1e7));
    expect(chooseRebuilds(four, 0.2, limits).chosen).toHaveLength(limits.indexes);
    const some = fc.array(
      fc.tuple(
        fc.double({ min: 0, max: 0.99, noNaN: true }),
        fc.oneof(fc.integer({ min: 1, max: 2e9 }), fc.integer({ min: 1, max: 1e8 })),
      ),
    );
    fc.assert(
      fc.property(some, (pairs) => {
        const { chosen } = chooseRebuilds(
          pairs.map(([share, size], i) => candidate(String(i), share, size)),
          0.2,
          limits,
        );
        expect(chosen.length).toBeLessThanOrEqual(limits.indexes);
        expect(chosen.reduce((sum, one) => sum + one.sizeBytes, 0)).toBeLessThanOrEqual(limits.totalBytes);
        expect(chosen.every((one) => one.sizeBytes <= limits.indexBytes)).toBe(true);
      }),
    );
  });
});
