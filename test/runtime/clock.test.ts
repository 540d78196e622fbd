import { expect, test } from "vitest";
import { acceleratedClock, systemClock } from "../../src/runtime/index.ts";

const HOUR_MS = 3_600_000;
const start = new Date("2027-03-01T00:00:00Z");

test("an accelerated calendar passes hours in moments, alike in each process, while the stopwatch keeps to real time", async () => {
  const begun = systemClock.now().getTime();
  const clock = acceleratedClock(start, begun, 1e6);
  const twin = acceleratedClock(start, begun, 1e6);
  const at = new Date(clock.now().getTime() + 10 * HOUR_MS);
  const beforeMs = clock.monotonicMs();
  await clock.sleepUntil(at);
  // Timers are true to a millisecond, which are a thousand seconds here.
  for (const one of [clock, twin]) expect(one.now().getTime()).toBeGreaterThan(at.getTime() - HOUR_MS);
  expect(clock.monotonicMs() - beforeMs).toBeLessThan(5_000);
  await clock.sleepUntil(start);
  const slept = clock.monotonicMs();
  await clock.sleep(20);
  expect(clock.monotonicMs() - slept).toBeGreaterThanOrEqual(19);
  await expect(clock.sleepUntil(new Date("2099-01-01"), AbortSignal.abort(new Error("told")))).rejects.toThrow("told");
});
