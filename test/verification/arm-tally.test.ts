import { describe, expect, test } from "vitest";
import type { ArmCall, ArmWindow } from "../../src/domain/index.ts";
import { ArmTally } from "../../src/verification/index.ts";

const call = (given: Partial<ArmCall>): ArmCall => ({
  arm: "control",
  fingerprint: "0123456789abcdef",
  unit: "one",
  share: 0.1,
  at: new Date(0),
  timeMs: 1,
  rows: 1,
  failed: false,
  ...given,
});

const unitsOf = async (calls: readonly Partial<ArmCall>[]): Promise<readonly (readonly number[])[]> => {
  const tally = new ArmTally(1000);
  for (const one of calls) tally.add(call(one));
  const windows: ArmWindow[] = [];
  await tally.handOver(null, async (taken) => void windows.push(...taken));
  return windows.map(({ slot, units, failedUnits }) => [slot, units, failedUnits]);
};

describe("units of an arm", () => {
  test.each<[string, readonly Partial<ArmCall>[], readonly (readonly number[])[]]>([
    [
      "one that comes again in a later window is no further draw",
      [{}, { at: new Date(1500), failed: true }],
      [
        [0, 1, 0],
        [1, 0, 0],
      ],
    ],
    [
      "at another share it was drawn anew",
      [{}, { at: new Date(1500), share: 0.5 }],
      [
        [0, 1, 0],
        [1, 1, 0],
      ],
    ],
    ["it has failed when one of its calls did", [{}, { failed: true }, {}], [[0, 1, 1]]],
    [
      "each transaction is one",
      [{ transaction: 1 }, { transaction: 1, failed: true }, { transaction: 2 }],
      [[0, 2, 1]],
    ],
    [
      "also in a later window",
      [{ transaction: 1 }, { transaction: 2, at: new Date(1500) }],
      [
        [0, 1, 0],
        [1, 1, 0],
      ],
    ],
    ["slices of time are none", [{ unit: null, failed: true }], [[0, 0, 0]]],
  ])("%s", async (_, calls, expected) => {
    expect(await unitsOf(calls)).toEqual(expected);
  });
});
