import { describe, expect, it } from "vitest";
import type { Block } from "../../src/domain/index.ts";
import { pageEvidence, type RecordedEvidence } from "../../src/verification/index.ts";
import { block, counters } from "./traffic.ts";

const between = (from: number, to: number, calls: number, voidReason: string | null = null): Block => ({
  ...block({ read: counters(calls, calls) }, voidReason),
  startedAt: new Date(from),
  endedAt: new Date(to),
});

const recordedOf = (control: readonly Block[], treatment: readonly Block[]): RecordedEvidence => ({
  arms: {
    control: { blocks: control, units: null, latencies: null },
    treatment: { blocks: treatment, units: null, latencies: null },
  },
  treatmentShare: 0.5,
  full: [],
});

describe("what the server counted beside what was recorded", () => {
  const windows: readonly (readonly [number, number, number])[] = [
    [0, 1000, 10],
    [1000, 2000, 20],
    [2000, 3000, 30],
    [5000, 6000, 40],
  ];
  const arms = recordedOf(
    windows.map((one) => between(...one)),
    windows.map(([from, to, calls]) => between(from, to, 2 * calls)),
  );
  const counted = (...of: readonly Block[]) => pageEvidence(arms, { control: of, treatment: of });

  it("has the calls of the windows, in part where only a part of one lies in the block", () => {
    const { control, treatment, recorded } = counted(between(0, 1000, 10), between(1500, 2250, 9));
    expect([control.length, treatment.length]).toEqual([2, 2]);
    expect(recorded.control.get("read")).toBeCloseTo(10 + 20 / 2 + 30 / 4);
    expect(recorded.treatment.get("read")).toBeCloseTo(2 * (10 + 20 / 2 + 30 / 4));
  });

  it("leaves out what was counted while the arms did not run side by side", () => {
    const { control, recorded } = counted(
      between(-500, 500, 9),
      between(2500, 3500, 9),
      between(3000, 4000, 9),
      between(4500, 5500, 9),
      between(5500, 6500, 9),
      between(7000, 8000, 9),
    );
    expect([control.length, recorded.control.size]).toEqual([0, 0]);
  });

  it("is void where a window or the block itself is", () => {
    const [first, ...others] = arms.arms.control.blocks;
    const broken = recordedOf(
      [{ ...(first ?? between(0, 0, 0)), voidReason: "the server was restarted" }, ...others],
      arms.arms.treatment.blocks,
    );
    const blocks = [between(500, 1500, 9), between(1500, 2000, 9), between(2000, 3000, 9, "statistics were reset")];
    const { control, treatment, recorded } = pageEvidence(broken, { control: blocks, treatment: blocks });
    const reasons = ["the server was restarted", null, "statistics were reset"];
    expect(control.map(({ voidReason }) => voidReason)).toEqual(reasons);
    expect(treatment.map(({ voidReason }) => voidReason)).toEqual(reasons);
    expect(recorded.control.get("read")).toBe(10);
  });
});
