import type { Migration } from "./migration.ts";

/** Installation, deployments with their history, decisions, observations, and the ledger of our own scans. */
export const foundation: Migration = {
  name: "0001_foundation",
  sql: `
create table indexpilot.installation (
  id integer generated always as identity primary key,
  system_identifier text not null,
  database_oid oid not null,
  database_name text not null,
  host text not null,
  port integer not null,
  installed_at timestamptz not null default now(),
  unique (system_identifier, database_oid)
);
comment on table indexpilot.installation is
  'The databases this schema belongs to. A copy of the schema elsewhere does not match and is not acted upon. Kept for ever.';

create table indexpilot.deployment (
  id uuid primary key,
  installation_id integer not null references indexpilot.installation,
  kind text not null check (kind in ('create', 'drop')),
  state text not null check (state in (
    'proposed', 'approved', 'building', 'verifying', 'settled', 'rolling_back', 'rolled_back', 'failed', 'declined')),
  table_schema text not null,
  table_name text not null,
  table_oid oid not null,
  definition text not null,
  intended jsonb not null,
  temporary_name text not null,
  index_name text not null,
  index_oid oid,
  backend_pid integer,
  backend_started_at text,
  size_bytes bigint,
  predicted_bytes bigint,
  build_ms double precision,
  verdict jsonb,
  rationale jsonb not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  unique (installation_id, temporary_name)
);
create index on indexpilot.deployment (installation_id, state);
comment on table indexpilot.deployment is
  'Each index IndexPilot wanted to make or drop, and how far it got. The proof of what is its own. Kept for ever.';
comment on column indexpilot.deployment.intended is 'What the index shall be; compared with the catalogue before it counts as built.';
comment on column indexpilot.deployment.backend_started_at is
  'backend_start of the building backend, seconds since 1970: with the pid it tells whether a build of a dead process goes on.';

create table indexpilot.deployment_event (
  id bigint generated always as identity primary key,
  deployment_id uuid not null references indexpilot.deployment,
  at timestamptz not null,
  from_state text,
  to_state text not null,
  event text not null,
  actor text not null,
  detail jsonb not null
);
create index on indexpilot.deployment_event (deployment_id, id);
comment on table indexpilot.deployment_event is 'Every transition of every deployment, in order. Kept for ever.';

create table indexpilot.decision (
  id bigint generated always as identity primary key,
  installation_id integer not null references indexpilot.installation,
  at timestamptz not null,
  subject text not null,
  deployment_id uuid,
  rule text not null,
  outcome text not null,
  code text not null,
  reason text not null,
  inputs jsonb not null
);
create index on indexpilot.decision (installation_id, at);
create index on indexpilot.decision (deployment_id) where deployment_id is not null;
comment on table indexpilot.decision is
  'Why something was done or refused, with the numbers it was decided from. No literals of queries. Kept for 400 days.';

create table indexpilot.observation_scope (
  id integer generated always as identity primary key,
  installation_id integer not null references indexpilot.installation,
  role text not null,
  search_path text[] not null,
  node text not null check (node in ('primary', 'replica')),
  unique (installation_id, role, search_path, node)
);
comment on table indexpilot.observation_scope is
  'Who ran the observed statements, and how unqualified names in them resolve. Kept for ever (a handful of rows).';

create table indexpilot.statement (
  scope_id integer not null references indexpilot.observation_scope,
  id text not null,
  fingerprint text not null,
  parser_major smallint not null,
  query_id text,
  label text not null,
  text text not null,
  verb text not null,
  first_seen timestamptz not null,
  last_seen timestamptz not null,
  primary key (scope_id, id)
);
comment on table indexpilot.statement is
  'Shapes of observed statements, normalised: $1, $2 in place of literals. Kept for 90 days after they were last seen.';
comment on column indexpilot.statement.parser_major is 'Major version of the parser that made the fingerprint.';

create table indexpilot.block (
  id bigint generated always as identity primary key,
  installation_id integer not null references indexpilot.installation,
  node text not null check (node in ('primary', 'replica')),
  started_at timestamptz not null,
  ended_at timestamptz not null,
  void_reason text
);
create index on indexpilot.block (installation_id, ended_at);
comment on table indexpilot.block is
  'Periods of observation. void_reason says why nothing may be concluded from one. Kept for 35 days.';

create table indexpilot.block_statement (
  block_id bigint not null references indexpilot.block on delete cascade,
  scope_id integer not null,
  statement_id text not null,
  calls bigint not null,
  total_ms double precision not null,
  stddev_ms double precision,
  rows bigint not null,
  shared_blocks_hit bigint not null,
  shared_blocks_read bigint not null,
  temp_blocks bigint not null,
  wal_bytes bigint not null,
  primary key (block_id, scope_id, statement_id),
  foreign key (scope_id, statement_id) references indexpilot.statement
);
create index on indexpilot.block_statement (scope_id, statement_id);
comment on table indexpilot.block_statement is
  'What each statement did in one period (differences, not running totals). Removed with its period, after 35 days.';

create table indexpilot.scan_ledger (
  installation_id integer not null references indexpilot.installation,
  index_oid oid not null,
  scans bigint not null,
  updated_at timestamptz not null,
  primary key (installation_id, index_oid)
);
comment on table indexpilot.scan_ledger is
  'Scans of indexes that IndexPilot itself caused (planner probes), to be subtracted from idx_scan. Kept for 400 days after the last.';
`,
};
