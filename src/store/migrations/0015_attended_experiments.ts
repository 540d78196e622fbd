import type { Migration } from "./migration.ts";

/** Whether anybody conducts an experiment: without, the application's processes let its gates be. */
export const attendedExperiments: Migration = {
  name: "0015_attended_experiments",
  sql: `
alter table indexpilot.experiment add column attended_at timestamptz;
comment on column indexpilot.experiment.attended_at is
  'When whoever conducts it last looked at it, by the clock of the server; null before the first look.';
`,
};
