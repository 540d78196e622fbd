import type { Migration } from "./migration.ts";

/** Deployments that drop an index of anybody's, after a person said so. */
export const drops: Migration = {
  name: "0011_drops",
  sql: `
alter table indexpilot.deployment drop constraint deployment_state_check;
alter table indexpilot.deployment
  add constraint deployment_state_check check (state in (
    'proposed', 'approved', 'building', 'verifying', 'promoting', 'settled', 'retiring', 'trying', 'dropping', 'done', 'rolling_back',
    'rolled_back', 'failed', 'declined'));
`,
};
