import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { MaintenanceWindow } from "../../src/config/index.ts";
import { openPeriods } from "../../src/safeguards/window.ts";

const everyDay = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"] as const;
const window = (changes: Partial<MaintenanceWindow>): MaintenanceWindow => ({
  time_zone: "UTC",
  from: "02:00",
  to: "06:00",
  days: [...everyDay],
  ...changes,
});
const first = (windows: readonly MaintenanceWindow[], now: string): string => {
  const [period] = openPeriods(windows, new Date(now));
  const short = (date: Date | undefined): string => date?.toISOString().slice(0, 16) ?? "";
  return `${short(period?.opensAt)} ${short(period?.closesAt)}`;
};

describe("a maintenance window", () => {
  // 2026-03-29: Berlin's clocks go from 02:00 to 03:00. 2026-10-25: from 03:00 back to 02:00.
  test.each([
    ["in winter", { time_zone: "Europe/Berlin" }, "2026-01-10T00:00:00Z", "2026-01-10T01:00 2026-01-10T05:00"],
    ["in summer", { time_zone: "Europe/Berlin" }, "2026-07-10T00:00:00Z", "2026-07-10T00:00 2026-07-10T04:00"],
    [
      "that opens in the hour that is left out",
      { time_zone: "Europe/Berlin" },
      "2026-03-28T23:00:00Z",
      "2026-03-29T01:00 2026-03-29T04:00",
    ],
    [
      "that lies in the hour that is left out",
      { time_zone: "Europe/Berlin", from: "02:15", to: "02:45" },
      "2026-03-28T23:00:00Z",
      "2026-03-29T01:15 2026-03-29T01:45",
    ],
    [
      "that opens in the hour that comes twice",
      { time_zone: "Europe/Berlin" },
      "2026-10-24T22:00:00Z",
      "2026-10-25T00:00 2026-10-25T05:00",
    ],
    [
      "that the hour that is left out swallows",
      { time_zone: "Europe/Berlin", from: "02:10", to: "03:05" },
      "2026-03-28T23:00:00Z",
      "2026-03-30T00:10 2026-03-30T01:05",
    ],
    [
      "that closes in the hour that comes twice",
      { time_zone: "Europe/Berlin", from: "01:00", to: "02:30" },
      "2026-10-24T22:00:00Z",
      "2026-10-24T23:00 2026-10-25T00:30",
    ],
    [
      "over midnight",
      { from: "22:00", to: "01:30", days: ["sat"] },
      "2026-01-11T01:00:00Z",
      "2026-01-10T22:00 2026-01-11T01:30",
    ],
    ["of a weekday that has passed", { days: ["fri"] }, "2026-01-10T00:00:00Z", "2026-01-16T02:00 2026-01-16T06:00"],
    [
      "of a weekday by the zone's own calendar",
      { time_zone: "Asia/Tokyo", days: ["mon"] },
      "2026-01-10T00:00:00Z",
      "2026-01-11T17:00 2026-01-11T21:00",
    ],
    [
      "of a zone with a half-hour",
      { time_zone: "Asia/Kolkata" },
      "2026-01-09T22:00:00Z",
      "2026-01-09T20:30 2026-01-10T00:30",
    ],
  ] satisfies [string, Partial<MaintenanceWindow>, string, string][])("%s", (_, changes, now, expected) => {
    expect(first([window(changes)], now)).toBe(expected);
  });

  test("that touches another is one with it, and a whole day never closes", () => {
    expect(
      first([window({ from: "01:00", to: "03:00" }), window({ from: "03:00", to: "05:00" })], "2026-01-10T00:00:00Z"),
    ).toBe("2026-01-10T01:00 2026-01-10T05:00");
    const [always] = openPeriods([window({ from: "00:00", to: "00:00" })], new Date("2026-01-10T12:00:00Z"));
    expect((always?.closesAt.getTime() ?? 0) - Date.parse("2026-01-10T12:00:00Z")).toBeGreaterThan(7 * 86_400_000);
  });

  test("has periods that are in order, do not overlap, and lie ahead, in any zone at any time", () => {
    const time = fc
      .tuple(fc.nat(23), fc.nat(59))
      .map(([h, m]) => `${String(h).padStart(2, "0")}:${String(m).padStart(2, "0")}`);
    const any = fc.record({
      time_zone: fc.constantFrom("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "UTC"),
      from: time,
      to: time,
      days: fc.subarray([...everyDay], { minLength: 1 }),
    });
    const moment = fc.date({ min: new Date("2026-01-01"), max: new Date("2027-01-01"), noInvalidDate: true });
    fc.assert(
      fc.property(fc.array(any, { minLength: 1, maxLength: 3 }), moment, (windows, now) => {
        const periods = openPeriods(windows, now);
        expect(periods.length).toBeGreaterThan(0);
        for (const [i, period] of periods.entries()) {
          expect(period.closesAt.getTime()).toBeGreaterThan(now.getTime());
          expect(period.opensAt.getTime()).toBeLessThanOrEqual(period.closesAt.getTime());
          const before = periods[i - 1];
          if (before !== undefined) expect(period.opensAt.getTime()).toBeGreaterThan(before.closesAt.getTime());
        }
      }),
    );
  });
});
