import { describe, expect, test } from "vitest";
import type { IndexSample } from "../../src/domain/index.ts";
import { forecast, ownBaseline, predictIndexBloat, predictReindexNeeds } from "../../src/maintenance/index.ts";

const DAY_MS = 86_400_000;
const begin = Date.UTC(2026, 0, 1);
const day = (n: number): Date => new Date(begin + n * DAY_MS);

const sample = (n: number, changes: Partial<IndexSample> = {}): IndexSample => ({
  at: day(n),
  indexOid: 1,
  fileNode: 7,
  sizeBytes: 1_000_000,
  neededBytes: 900_000,
  entries: 10_000,
  bloat: { share: 0.05 + 0.01 * n + (n % 2) * 0.001, method: "statistics" },
  scans: 0,
  replicaScans: {},
  tableWrites: 0,
  updates: 0,
  hotUpdates: 0,
  ...changes,
});
const samples = (count: number, changes: (n: number) => Partial<IndexSample> = () => ({})): IndexSample[] =>
  Array.from({ length: count }, (_, n) => sample(n, changes(n)));

describe("a forecast", () => {
  test("is refused with what is missing and when there will be enough", () => {
    const few = forecast(
      [0, 1, 2].map((n) => ({ at: day(n), value: 0.1 })),
      [day(9)],
    );
    expect(few).toEqual({ kind: "insufficient", missing: "5 more looks and 1.0 more days", enoughAt: day(7) });
    expect(forecast([], [day(9)])).toEqual({
      kind: "insufficient",
      missing: "8 more looks and 3.0 more days",
      enoughAt: null,
    });
    const dense = Array.from({ length: 20 }, (_, n) => ({ at: day(n / 24), value: 0.1 }));
    expect(forecast(dense, [day(9)])).toMatchObject({ kind: "insufficient", missing: "2.2 more days" });
  });

  test("is made of eight looks over three days", () => {
    const enough = Array.from({ length: 8 }, (_, n) => ({ at: day((3 * n) / 7), value: 0.1 + 0.001 * n }));
    expect(forecast(enough, [day(10)])).toMatchObject({ kind: "forecast", level: 0.95 });
  });

  describe("of an index that was at its floor of late", () => {
    const ahead = (bloats: (n: number) => number, aheadDays: number) => {
      const seen = samples(30, (n) => ({ bloat: { share: bloats(n), method: "statistics" } }));
      const { bloat } = predictIndexBloat(seen, day(29), aheadDays);
      const one = bloat.kind === "forecast" ? bloat.at.at(-1) : undefined;
      if (one === undefined) throw new Error("refused");
      return one;
    };

    test.each<[string, (n: number) => number, number, number]>([
      ["a quarter in a week", () => 0, 7, 0.25],
      ["less and less after that", () => 0, 14, 0.354],
      ["no more than what full pages come to", () => 0, 60, 0.45],
      ["on top of what it has", (n) => (n < 10 ? 0.01 : 0.02), 7, 0.27],
    ])("allows for fresh pages that fill up all at once: %s", (_, bloats, aheadDays, high) => {
      expect(ahead(bloats, aheadDays).high).toBeCloseTo(high, 3);
      expect(ahead(bloats, aheadDays).value).toBeLessThan(0.025);
    });

    test.each<[string, (n: number) => number]>([
      ["weeks ago", (n) => (n < 8 ? 0.01 : 0.02)],
      ["never", (n) => 0.1 + (n % 2) * 0.001],
    ])("allows for nothing where that was %s", (_, bloats) => {
      expect(ahead(bloats, 7).high).toBeLessThan(0.13);
    });

    test("carries a burst on no faster than it went of late", () => {
      const burst = [0.06, 0.24, 0.38, 0.38, 0.38, 0.38];
      const after = ahead((n) => (n < 24 ? 0 : (burst[n - 24] ?? 0)), 7);
      expect(after.value).toBeCloseTo(0.38, 5);
      expect(after.low).toBeLessThanOrEqual(after.value);
    });
  });

  test("keeps bloat and growth apart", () => {
    const growing = samples(20, (n) => ({
      neededBytes: 900_000 * (1 + n / 10),
      sizeBytes: 1_000_000 * (1 + n / 10),
      bloat: { share: 0.1, method: "statistics" },
    }));
    const { bloat, needed } = predictIndexBloat(growing, day(19), 7);
    if (bloat.kind !== "forecast" || needed.kind !== "forecast") throw new Error("refused");
    expect(bloat.at.at(-1)?.value).toBeCloseTo(0.1, 3);
    expect((needed.at.at(-1)?.value ?? 0) / 900_000).toBeCloseTo(3.6, 1);
  });
});

describe("a rebuild", () => {
  test("is needed when the forecast crosses the threshold, between the days of its interval", () => {
    const need = predictReindexNeeds(samples(12), day(11), 0.2);
    if (need.kind !== "later" || need.on === null || need.earliest === null) throw new Error("no day");
    // 0.05 + 0.01 n = 0.2 at n = 15.
    expect(Math.abs(need.on.getTime() - day(15).getTime())).toBeLessThanOrEqual(DAY_MS);
    expect(need.earliest.getTime()).toBeLessThanOrEqual(need.on.getTime());
    expect(need.latest?.getTime()).toBeGreaterThanOrEqual(need.on.getTime());
  });

  test("is needed now above the threshold, whatever is known of the past", () => {
    expect(predictReindexNeeds([sample(30)], day(30), 0.2)).toEqual({ kind: "now", share: 0.35 });
  });

  test("is not foreseen from what was before the last one", () => {
    const rebuilt = [...samples(20), sample(20, { fileNode: 8, bloat: { share: 0, method: "statistics" } })];
    expect(predictReindexNeeds(rebuilt, day(20), 0.2)).toMatchObject({
      kind: "insufficient",
      missing: "7 more looks and 3.0 more days",
    });
  });

  test("gives an index of any kind its own measure: bytes per row at the first look after it", () => {
    expect(ownBaseline(samples(5))).toBeNull();
    const rebuilt = [
      ...samples(5),
      sample(5, { fileNode: 8, sizeBytes: 500_000 }),
      sample(6, { fileNode: 8, sizeBytes: 600_000 }),
    ];
    expect(ownBaseline(rebuilt)).toBe(50);
    // The last of several, whichever left the least.
    expect(ownBaseline([...rebuilt, sample(7, { fileNode: 9, sizeBytes: 700_000 })])).toBe(70);
    // At the first look its rows were not known.
    expect(
      ownBaseline([
        sample(0),
        sample(0.5, { fileNode: 8, sizeBytes: 500_000, entries: null }),
        sample(1.5, { fileNode: 8, sizeBytes: 550_000 }),
      ]),
    ).toBe(55);
    // Too late after it to be fresh.
    expect(ownBaseline([sample(0), sample(4, { fileNode: 8, sizeBytes: 500_000 })])).toBeNull();
  });
});
