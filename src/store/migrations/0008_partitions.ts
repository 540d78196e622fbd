import type { Migration } from "./migration.ts";

/** Deployments on partitioned tables, which are built partition by partition. */
export const partitions: Migration = {
  name: "0008_partitions",
  sql: `
alter table indexpilot.deployment
  add column part_of uuid references indexpilot.deployment,
  drop constraint deployment_state_check;
alter table indexpilot.deployment
  add constraint deployment_state_check check (state in (
    'proposed', 'approved', 'building', 'verifying', 'promoting', 'settled', 'retiring', 'done', 'rolling_back', 'rolled_back', 'failed', 'declined'));
create index on indexpilot.deployment (part_of) where part_of is not null;
comment on column indexpilot.deployment.part_of is
  'The deployment on a partitioned table whose index this one, on a partition, belongs to.';
`,
};
