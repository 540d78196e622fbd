import { IANAZone } from "luxon";
import { z } from "zod";

const weekdays = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"] as const;

const time = z
  .string('must be written as "02:00"')
  .regex(/^([01]\d|2[0-3]):[0-5]\d$/, 'must be a time of day, written as "02:00"');

export const maintenanceWindow = z.strictObject({
  time_zone: z
    .string("must be a time zone such as Europe/Berlin")
    .refine((zone) => IANAZone.isValidZone(zone), "must be a time zone such as Europe/Berlin or UTC"),
  from: time.default("02:00"),
  to: time.default("06:00"),
  days: z
    .array(z.enum(weekdays, `must be one of ${weekdays.join(", ")}`), "must be a list of weekdays")
    .min(1, "must name a weekday")
    .default([...weekdays]),
});

/**
 * When builds may begin: from one time of day to another on the wall clock of a time zone, on these weekdays. `to` before `from` means the next
 * day's, and `from` = `to` the whole day; the weekday is that of `from`.
 */
export type MaintenanceWindow = z.infer<typeof maintenanceWindow>;

export const showWindow = (one: MaintenanceWindow): string =>
  `${one.from} to ${one.to} ${one.time_zone}${one.days.length === 7 ? "" : `, ${one.days.join(" ")}`}`;
