import type { Migration } from "./migration.ts";

/** Breakers of builds, for tables and for the server. */
export const circuitBreakers: Migration = {
  name: "0002_circuit_breakers",
  sql: `
create table indexpilot.circuit_breaker (
  installation_id integer not null references indexpilot.installation,
  scope text not null,
  phase text not null check (phase in ('closed', 'open', 'half_open')),
  failures integer not null,
  successes integer not null,
  openings integer not null,
  retry_at timestamptz,
  trial_since timestamptz,
  last_failure text,
  updated_at timestamptz not null,
  primary key (installation_id, scope)
);
comment on table indexpilot.circuit_breaker is
  'Where builds failed, and whether they may be tried again. Kept for 400 days after the last change.';
comment on column indexpilot.circuit_breaker.scope is '''server'', or ''table '' and the table''s OID.';
`,
};
