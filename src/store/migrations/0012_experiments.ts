import type { Migration } from "./migration.ts";

/** Experiments with two arms, and what was seen of each. */
export const experiments: Migration = {
  name: "0012_experiments",
  sql: `
create table indexpilot.experiment (
  id uuid primary key,
  number integer generated always as identity unique,
  installation_id integer not null references indexpilot.installation,
  table_schema text not null,
  table_name text not null,
  table_oid oid not null,
  control_definition text,
  treatment_definition text,
  treatment_share double precision not null check (treatment_share > 0 and treatment_share < 1),
  unit text not null check (unit in ('transaction', 'slice')),
  metric text not null check (metric in ('mean', 'p95')),
  margin double precision not null,
  alpha double precision not null,
  block_ms integer not null check (block_ms > 0),
  max_ms bigint not null check (max_ms > 0),
  state text not null check (state in ('running', 'decided', 'stopped')),
  created_at timestamptz not null,
  ended_at timestamptz,
  end_reason text,
  verdict jsonb,
  ground jsonb not null,
  ground_at timestamptz not null
);
create unique index on indexpilot.experiment (installation_id, table_oid) where state = 'running';
comment on table indexpilot.experiment is
  'Each comparison of two ways to index a table, on which server state and indexes it stands, and its verdict. Kept for ever.';

create table indexpilot.experiment_window (
  experiment_id uuid not null references indexpilot.experiment on delete cascade,
  arm text not null check (arm in ('control', 'treatment')),
  slot bigint not null,
  units bigint not null,
  failed_units bigint not null,
  primary key (experiment_id, slot, arm)
);
comment on table indexpilot.experiment_window is
  'Units of assignment in each arm and window, and those with an error. Kept for 35 days after the experiment ended.';

create table indexpilot.experiment_statement (
  experiment_id uuid not null,
  arm text not null,
  slot bigint not null,
  fingerprint text not null,
  calls bigint not null,
  total_ms double precision not null,
  rows bigint not null,
  latencies jsonb not null,
  primary key (experiment_id, slot, arm, fingerprint),
  foreign key (experiment_id, slot, arm) references indexpilot.experiment_window on delete cascade
);
comment on table indexpilot.experiment_statement is
  'Calls of each statement in each arm and window: fingerprint, counters, and histograms of time as they were handed in. Kept for 35 days after the experiment ended.';

create table indexpilot.experiment_void (
  experiment_id uuid not null references indexpilot.experiment on delete cascade,
  from_at timestamptz not null,
  to_at timestamptz not null,
  reason text not null
);
comment on table indexpilot.experiment_void is
  'Stretches of an experiment that prove nothing, and why. Kept for 35 days after the experiment ended.';
`,
};
