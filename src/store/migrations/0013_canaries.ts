import type { Migration } from "./migration.ts";

/** Experiments build their arms' indexes, go from stage to stage, and are followed by the application's processes. */
export const canaries: Migration = {
  name: "0013_canaries",
  sql: `
alter table indexpilot.experiment
  drop column control_definition,
  drop column treatment_definition,
  drop column treatment_share,
  drop constraint experiment_state_check,
  add constraint experiment_state_check check (state in ('preparing', 'running', 'applying', 'removing', 'decided', 'stopped')),
  add column kind text not null default 'comparison' check (kind in ('canary', 'comparison')),
  add column exposure text not null default 'gate' check (exposure in ('gate', 'tenant')),
  add column control jsonb not null default '{"index": null, "deploymentId": null, "gate": null}',
  add column treatment jsonb not null default '{"index": null, "deploymentId": null, "gate": null}',
  add column stages double precision[] not null default '{0.5}',
  add column stage integer not null default 0,
  add column stage_at timestamptz not null default now(),
  add column actor text not null default '',
  add column evidence jsonb,
  add column deciding text[],
  add column winner text check (winner in ('control', 'treatment')),
  alter column ground drop not null;
update indexpilot.experiment set state = 'stopped', ended_at = now(), end_reason = 'laid down by a version that built no arms'
 where ended_at is null;
drop index indexpilot.experiment_installation_id_table_oid_idx;
create unique index on indexpilot.experiment (installation_id, table_oid) where ended_at is null;
alter table indexpilot.experiment_window add column share double precision;
comment on column indexpilot.experiment_window.share is
  'Share of the units that the treatment got; null where that changed within the window, or is not known.';

create table indexpilot.experiment_follower (
  process uuid primary key,
  installation_id integer not null references indexpilot.installation,
  application text not null,
  role text not null,
  seen_at timestamptz not null,
  stands jsonb not null
);
comment on table indexpilot.experiment_follower is
  'Processes of the application whose driver hook follows experiments, and which share of its units each draws. Kept for 1 day after the process was last heard of.';
`,
};
