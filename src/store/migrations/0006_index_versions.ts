import type { Migration } from "./migration.ts";

/** The history of every index. */
export const indexVersions: Migration = {
  name: "0006_index_versions",
  sql: `
create table indexpilot.index_series (
  id integer generated always as identity primary key,
  installation_id integer not null references indexpilot.installation,
  table_oid oid not null,
  table_schema text not null,
  table_name text not null,
  schema_name text not null,
  index_name text not null,
  index_oid oid
);
create index on indexpilot.index_series (installation_id, index_name);
comment on table indexpilot.index_series is
  'Each index that was ever seen here, anybody''s; index_oid is null while it does not exist. Kept for ever.';

create table indexpilot.index_version (
  series_id integer not null references indexpilot.index_series,
  number integer not null,
  at timestamptz not null,
  change text not null check (change in ('found', 'created', 'changed', 'dropped')),
  definition text not null,
  constraint_definition text,
  tablespace text,
  size_bytes bigint not null,
  actor text not null check (actor in ('indexpilot', 'others')),
  reason text not null,
  deployment_id uuid,
  primary key (series_id, number)
);
comment on table indexpilot.index_version is
  'What each index was, from when on, and who changed it as far as it is known. A look that finds nothing new adds nothing. Kept for ever.';
`,
};
