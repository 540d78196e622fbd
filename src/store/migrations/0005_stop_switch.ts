import type { Migration } from "./migration.ts";

/** The one switch that stops everything. */
export const stopSwitch: Migration = {
  name: "0005_stop_switch",
  sql: `
create table indexpilot.stop_switch (
  installation_id integer primary key references indexpilot.installation,
  stopped_at timestamptz not null,
  stopped_by text not null,
  reason text not null
);
comment on table indexpilot.stop_switch is
  'A row here stops everything that changes the database, running builds included; without one, work goes on. Kept for as long as it holds.';
`,
};
