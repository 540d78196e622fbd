import { describe, expect, it } from "vitest";
import type { Block } from "../../src/domain/index.ts";
import { seededRandom } from "../../src/runtime/index.ts";
import { bucketOf } from "../../src/statistics/latency-histogram.ts";
import { type ArmEvidence, type ExperimentEvidence, judgeArms } from "../../src/verification/index.ts";
import { block, counters } from "./traffic.ts";

/** Windows with ten per cent of noise of their own, and a machine that slows down in the middle for everybody. */
const windows = (means: Readonly<Record<string, number>>, seed: number, count = 100, pagesPerCall = 10): Block[] => {
  const random = seededRandom(seed);
  return Array.from({ length: count }, (_, i) =>
    block(
      Object.fromEntries(
        Object.entries(means).map(([id, mean]) => {
          const of = counters(100, 100 * mean * (0.9 + 0.2 * random()) * (i > count / 2 ? 3 : 1));
          return [id, { ...of, sharedBlocksHit: Math.round(100 * pagesPerCall * (0.99 + 0.02 * random())) }];
        }),
      ),
    ),
  );
};

const arm = (blocks: readonly Block[], over: Partial<ArmEvidence> = {}): ArmEvidence => ({
  blocks,
  units: null,
  latencies: null,
  ...over,
});

const evidence = (treatment: ArmEvidence, over: Partial<ExperimentEvidence> = {}): ExperimentEvidence => ({
  control: arm(windows({ read: 10, write: 1 }, 1)),
  treatment,
  treatmentShare: 0.5,
  metric: "mean",
  alpha: 0.05,
  margin: 0.05,
  ...over,
});

describe("two arms side by side", () => {
  it.each([
    ["better", { read: 5, write: 1 }],
    ["worse", { read: 15, write: 1 }],
    ["equivalent", { read: 10, write: 1 }],
  ])("are %s when the treatment takes %j ms, whatever slows both", (outcome, means) => {
    expect(judgeArms(evidence(arm(windows(means, 2)))).outcome).toBe(outcome);
  });

  it("name the statement that is harmed, and say so of both sides", () => {
    const verdict = judgeArms(evidence(arm(windows({ read: 5, write: 2 }, 2))));
    expect(verdict.outcome).toBe("better");
    expect(verdict.statements.map(({ statementId, outcome }) => [statementId, outcome])).toEqual([
      ["read", "better"],
      ["write", "worse"],
    ]);
    expect(verdict.reason).toContain("worse on write");
  });

  // By a fifth to a half slower than the control's ten milliseconds: plain from fifty calls, and not from five, however many windows pass without one.
  it.each([
    [2, "worse"],
    [20, "undecided"],
  ])(
    "say of a statement that the treatment calls in every %dth window no more than its calls do: %s",
    (every, outcome) => {
      const rare = [12, 14, 11, 15, 13];
      const treatment = windows({ write: 1 }, 2).map((one, i) => {
        if (i % every !== 0) return one;
        const called = counters(1, rare[(i / every) % 5] ?? 0);
        return { ...one, statements: new Map([...one.statements, ["rare", called]]) };
      });
      const noise = [0.95, 1.05, 1, 1.1, 0.9];
      const control = windows({ write: 1 }, 1).map((one, i) => {
        const called = counters(1, 10 * (noise[i % 5] ?? 0));
        return { ...one, statements: new Map([...one.statements, ["rare", called]]) };
      });
      const { statements } = judgeArms(evidence(arm(treatment), { control: arm(control) }));
      expect(statements.find(({ statementId }) => statementId === "rare")).toMatchObject({ outcome });
    },
  );

  it("are undecided in the first windows, whatever they show", () => {
    const verdict = judgeArms(
      evidence(arm(windows({ read: 1, write: 1 }, 2, 4)), { control: arm(windows({ read: 10, write: 1 }, 1, 4)) }),
    );
    expect(verdict).toMatchObject({ outcome: "undecided", soundBlocks: 4 });
    expect(verdict.reason).toContain("too few windows: 4 sound ones");
  });

  it("leave a window out that is void in either arm, and say why", () => {
    const control = windows({ read: 10, write: 1 }, 1);
    const treatment = windows({ read: 10, write: 1 }, 2).map((one, i) =>
      i < 20 ? { ...block({ read: counters(100, 1), write: counters(100, 1) }), voidReason: "server restarted" } : one,
    );
    const verdict = judgeArms(evidence(arm(treatment), { control: arm(control) }));
    expect(verdict).toMatchObject({ outcome: "equivalent", soundBlocks: 80, voidBlocks: 20 });
    expect(verdict.reason).toContain("20 void blocks of the experiment (20 × server restarted)");
  });

  it("prove nothing when the split is not the promised one", () => {
    const verdict = judgeArms(
      evidence(arm(windows({ read: 5, write: 1 }, 2), { units: { all: 3900, failed: 0 } }), {
        control: arm(windows({ read: 10, write: 1 }, 1), { units: { all: 4600, failed: 0 } }),
      }),
    );
    expect(verdict.outcome).toBe("undecided");
    expect(verdict.reason).toContain("the split is broken: 3900 of 8500 units got the treatment, 50 % were promised");
  });

  it.each([
    [60, "worse", "worse"],
    [0, "better", "equivalent"],
  ])("with %d failed units of 10,000 against none are %s", (failed, outcome, errors) => {
    const verdict = judgeArms(
      evidence(arm(windows({ read: 5, write: 1 }, 2), { units: { all: 10_000, failed } }), {
        control: arm(windows({ read: 10, write: 1 }, 1), { units: { all: 10_000, failed: 0 } }),
      }),
    );
    expect(verdict.outcome).toBe(outcome);
    expect(verdict.errors?.outcome).toBe(errors);
  });

  it("are decided by pages where time says nothing but that it is not worse", () => {
    // Time is better, and by too little to tell; a tenth of the pages is plain.
    const [control, treatment] = [1, 2].map((seed) =>
      windows({ read: seed === 1 ? 10 : 9.75 }, seed, 100, seed === 1 ? 100 : 10),
    ) as [Block[], Block[]];
    const verdict = judgeArms(evidence(arm(treatment), { control: arm(control) }));
    expect(verdict.interval?.high).toBeGreaterThan(0);
    expect(verdict.interval?.high).toBeLessThan(0.05);
    expect(verdict.outcome).toBe("better");
    expect(verdict.reason).toContain("pages per call −90 %");
  });

  describe("whose pages the server counted", () => {
    const times = { control: windows({ read: 10 }, 1), treatment: windows({ read: 9.75 }, 2) };
    const counted = { control: windows({ read: 10 }, 1, 100, 100), treatment: windows({ read: 9.75 }, 2, 100, 10) };
    const judged = (control: number, treatment: number) =>
      judgeArms(
        evidence(arm(times.treatment), {
          control: arm(times.control),
          pages: {
            ...counted,
            recorded: { control: new Map([["read", control]]), treatment: new Map([["read", treatment]]) },
          },
        }),
      );

    it.each([
      [10_000, 10_000, "better"],
      [9_800, 10_200, "better"],
      [9_600, 10_000, "undecided"],
      [10_000, 10_400, "undecided"],
      [0, 10_000, "undecided"],
    ])("of 10,000 calls each are decided by them where %d and %d were recorded: %s", (control, treatment, outcome) => {
      const verdict = judged(control, treatment);
      expect(verdict.outcome).toBe(outcome);
      expect(verdict.pages?.change).toBeCloseTo(-0.9, 2);
      expect(verdict.reason).toContain(
        outcome === "better" ? ") decide" : ") do not decide: the server counted calls of",
      );
    });
  });

  it("are not better for fewer pages when time is worse", () => {
    expect(judgeArms(evidence(arm(windows({ read: 15, write: 1 }, 2, 100, 1)))).outcome).toBe("worse");
  });

  it("can be compared by their 95th percentile, where the mean says otherwise", () => {
    const random = seededRandom(4);
    const histograms = (slow: number) =>
      Array.from({ length: 100 }, () => {
        const one = new Map<number, number>();
        for (let call = 0; call < 200; call += 1) {
          const bucket = bucketOf((0.5 + random()) * (random() < 0.1 ? slow : 1));
          one.set(bucket, (one.get(bucket) ?? 0) + 1);
        }
        return one;
      });
    const verdict = judgeArms(
      evidence(arm(windows({ read: 10, write: 1 }, 2), { latencies: histograms(40) }), {
        control: arm(windows({ read: 10, write: 1 }, 1), { latencies: histograms(10) }),
        metric: "p95",
      }),
    );
    expect(verdict.outcome).toBe("worse");
    expect(verdict.change).toBeGreaterThan(2);
    expect(verdict.reason).toContain("95th percentile");
  });
});
