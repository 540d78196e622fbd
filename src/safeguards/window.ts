import { DateTime } from "luxon";
import type { MaintenanceWindow } from "../config/index.ts";

/** One time in which builds may begin and end. */
export interface OpenPeriod {
  readonly opensAt: Date;
  readonly closesAt: Date;
}

const dayNames = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"] as const;
/** Every weekday comes twice, so that a window that was just missed is found again. */
const DAYS_AHEAD = 14;

/**
 * The instant at which a zone's wall clocks show a time on a date: the first, where the clocks are put back and show it twice; as much later as the
 * clocks are put forward, where they never show it.
 */
const instantOf = (date: DateTime, time: string): DateTime => {
  const [hour = 0, minute = 0] = time.split(":").map(Number);
  const [first, second] = date.set({ hour, minute, second: 0, millisecond: 0 }).getPossibleOffsets();
  return first !== undefined && second !== undefined && second < first ? second : (first ?? date);
};

/** The periods of these windows that are open at a moment or open later, in order; those that touch are one. Pure. */
export const openPeriods = (windows: readonly MaintenanceWindow[], now: Date): readonly OpenPeriod[] => {
  const single = windows
    .flatMap(({ time_zone: zone, from, to, days }) => {
      const today = DateTime.fromJSDate(now, { zone }).startOf("day");
      return Array.from({ length: DAYS_AHEAD + 1 }, (_, at) => today.plus({ days: at - 1 }))
        .filter((date) => days.some((day) => dayNames[date.weekday - 1] === day))
        .map((date) => ({
          opensAt: instantOf(date, from).toJSDate(),
          closesAt: instantOf(to > from ? date : date.plus({ days: 1 }), to).toJSDate(),
        }));
    })
    // The hour that is left out can swallow a short one.
    .filter(({ opensAt, closesAt }) => closesAt > now && closesAt > opensAt)
    .toSorted((a, b) => a.opensAt.getTime() - b.opensAt.getTime());
  const merged: OpenPeriod[] = [];
  for (const period of single) {
    const last = merged.at(-1);
    if (last === undefined || period.opensAt > last.closesAt) merged.push(period);
    else if (period.closesAt > last.closesAt) merged[merged.length - 1] = { ...last, closesAt: period.closesAt };
  }
  return merged;
};
