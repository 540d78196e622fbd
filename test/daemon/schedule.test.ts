import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { firstDue, nextDue, reconnectMs, retellAt } from "../../src/daemon/schedule.ts";

const now = new Date("2026-03-01T12:00:00Z");
const HOUR = 3_600_000;
const after = (date: Date): number => date.getTime() - now.getTime();
const chance = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true });
const known = (dueAt: Date) => ({ name: "advise", dueAt, endedAt: null, outcome: null, failures: 0 });

describe("a duty", () => {
  test("is due again after its interval, give or take a tenth, so that many processes do not march in step", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1000, max: 24 * HOUR }), chance, (everyMs, drawn) => {
        const wait = after(nextDue(now, everyMs, 0, () => drawn));
        expect(wait).toBeGreaterThanOrEqual(Math.floor(everyMs * 0.9));
        expect(wait).toBeLessThanOrEqual(everyMs * 1.1);
      }),
    );
  });

  test("that fails is tried again in seconds at first, and in the end once an hour", () => {
    const waits = [1, 2, 3, 6, 20].map((failures) => after(nextDue(now, 6 * HOUR, failures, () => 0.999)) / 1000);
    expect(waits.map(Math.round)).toEqual([8, 16, 32, 256, 3598]);
  });

  test.each([
    ["is kept where a restart finds it not due yet", known(new Date(now.getTime() + HOUR)), HOUR, HOUR],
    ["is soon where it is overdue", known(new Date(now.getTime() - 9 * HOUR)), 0, 10_000],
    ["is soon where it never ran", undefined, 0, 10_000],
    [
      "is no later than its interval, where that was shortened",
      known(new Date(now.getTime() + 99 * HOUR)),
      HOUR,
      7 * HOUR,
    ],
  ])("%s", (_, record, least, most) => {
    fc.assert(
      fc.property(chance, (drawn) => {
        const wait = after(firstDue(record, now, 6 * HOUR, () => drawn));
        expect(wait).toBeGreaterThanOrEqual(least);
        expect(wait).toBeLessThanOrEqual(most);
      }),
    );
  });

  test.each([
    ["a reconnection", (failures: number, drawn: () => number) => reconnectMs(failures, drawn), 30_000],
    ["a notice", (failures: number, drawn: () => number) => after(retellAt(now, failures, drawn)), HOUR],
  ])("%s backs off without ever giving up", (_, wait, longest) => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 10_000 }), chance, (failures, drawn) => {
        const ms = wait(failures, () => drawn);
        expect(ms).toBeGreaterThanOrEqual(499);
        expect(ms).toBeLessThanOrEqual(longest);
      }),
    );
  });
});
