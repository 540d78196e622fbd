import type { Migration } from "./migration.ts";

/** Deployments that replace an index by another one, or build it anew. */
export const replaceAndReindex: Migration = {
  name: "0007_replace_and_reindex",
  sql: `
alter table indexpilot.deployment
  alter column intended drop not null,
  add column recorded jsonb,
  add column replaces jsonb,
  drop constraint deployment_kind_check,
  add check (kind in ('create', 'drop', 'replace', 'reindex')),
  drop constraint deployment_state_check,
  add check (state in (
    'proposed', 'approved', 'building', 'verifying', 'settled', 'retiring', 'done', 'rolling_back', 'rolled_back', 'failed', 'declined'));
comment on column indexpilot.deployment.recorded is
  'What the index shall be, where that comes from the history of indexes; else see intended.';
comment on column indexpilot.deployment.replaces is
  'The index that this one takes the place of, as it was when that was decided.';
`,
};
