import { describe, expect, test } from "vitest";
import { nextLookMs } from "../../src/rollout/watched.ts";

const waiting = (waitedMs: number) => ({ progress: null, heldIndexes: [], victim: { pid: 1, waitedMs } });

describe("the watcher looks again", () => {
  test.each([
    ["after a tenth of a second while nobody waits", { progress: null, heldIndexes: [], victim: null }, 100],
    ["after a tenth of a second when it could not see anything", null, 100],
    ["after a tenth of a second at somebody who began to wait", waiting(20), 100],
    ["when the budget of the one who waits is used up", waiting(170), 30],
    ["almost at once when it is about to be", waiting(199), 5],
  ])("%s", (_, watched, expected) => {
    expect(nextLookMs(watched, 200)).toBe(expected);
  });

  test("so that nobody waits longer than budget and poll, whenever he comes", () => {
    for (let arrives = 0; arrives <= 100; arrives += 1) {
      let waitedMs = 100 - arrives;
      while (waitedMs < 200) waitedMs += nextLookMs(waiting(waitedMs), 200);
      expect(waitedMs).toBeLessThanOrEqual(205);
    }
  });
});
