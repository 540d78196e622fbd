import type { Migration } from "./migration.ts";

/** Limits that follow what is usual. */
export const adaptiveThresholds: Migration = {
  name: "0003_adaptive_thresholds",
  sql: `
create table indexpilot.adaptive_threshold (
  installation_id integer not null references indexpilot.installation,
  name text not null,
  samples double precision[] not null,
  sampled_at timestamptz,
  holding boolean not null,
  primary key (installation_id, name)
);
comment on table indexpilot.adaptive_threshold is
  'What was asked for lately, which limits are made from: the last 1000 samples of each. Kept for ever (a handful of rows).';
`,
};
