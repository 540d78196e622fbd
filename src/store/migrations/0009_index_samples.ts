import type { Migration } from "./migration.ts";

/** Bloat and use of every index over time, and what was forecast. */
export const indexSamples: Migration = {
  name: "0009_index_samples",
  sql: `
create table indexpilot.index_sample (
  installation_id integer not null references indexpilot.installation,
  index_oid oid not null,
  at timestamptz not null,
  file_node bigint not null,
  size_bytes bigint not null,
  needed_bytes bigint,
  entries double precision,
  bloat double precision,
  method text,
  scans bigint not null,
  replica_scans jsonb not null,
  table_writes bigint not null,
  updates bigint not null,
  hot_updates bigint not null,
  primary key (installation_id, index_oid, at)
);
create index on indexpilot.index_sample (installation_id, at);
comment on table indexpilot.index_sample is
  'Looks at every index. All are kept for 35 days, one a day for 400. Counters are cumulative, as the server has them.';
comment on column indexpilot.index_sample.file_node is 'Another one after REINDEX, VACUUM FULL or CLUSTER: a new series begins.';
comment on column indexpilot.index_sample.bloat is 'What a rebuild would take away, as a share; null where it was withheld.';

create table indexpilot.index_forecast (
  installation_id integer not null references indexpilot.installation,
  index_oid oid not null,
  file_node bigint not null,
  made_at timestamptz not null,
  due_at timestamptz not null,
  value double precision not null,
  low double precision not null,
  high double precision not null,
  achieved double precision,
  primary key (installation_id, index_oid, made_at)
);
create index on indexpilot.index_forecast (installation_id, due_at) where achieved is null;
comment on table indexpilot.index_forecast is
  'Forecasts of bloat, and what came: at most one a day for each index. Kept for 400 days.';
`,
};
