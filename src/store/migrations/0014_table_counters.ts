import type { Migration } from "./migration.ts";

/** What was written to each table in each block: the share of heap-only updates, before and after a change. */
export const tableCounters: Migration = {
  name: "0014_table_counters",
  sql: `
create table indexpilot.block_table (
  block_id bigint not null references indexpilot.block on delete cascade,
  table_oid oid not null,
  inserted bigint not null,
  updated bigint not null,
  hot_updated bigint not null,
  deleted bigint not null,
  primary key (block_id, table_oid)
);
comment on table indexpilot.block_table is
  'Rows written to each table in one period (differences, not running totals); no row where none were. Removed with its period, after 35 days.';
`,
};
