import type { Migration } from "./migration.ts";

/** What the daemon does next, and what it has still to tell. */
export const daemon: Migration = {
  name: "0010_daemon",
  sql: `
create table indexpilot.duty (
  installation_id integer not null references indexpilot.installation,
  name text not null,
  due_at timestamptz not null,
  ended_at timestamptz,
  outcome text,
  failures integer not null,
  primary key (installation_id, name)
);
comment on table indexpilot.duty is
  'When the daemon does what next, so that a restart does not do everything at once. Kept for ever (a handful of rows).';
comment on column indexpilot.duty.failures is 'In a row; each makes it wait longer.';

create table indexpilot.notice (
  installation_id integer not null references indexpilot.installation,
  key text not null,
  at timestamptz not null,
  attempts integer not null,
  due_at timestamptz not null,
  delivered_at timestamptz,
  last_error text,
  primary key (installation_id, key)
);
create index on indexpilot.notice (installation_id, due_at) where delivered_at is null;
comment on table indexpilot.notice is
  'Which decisions and transitions were told to the outside, and which are still to be told. Kept for 8 days.';
comment on column indexpilot.notice.key is '''decision:'' or ''transition:'' and the id of the row it tells of; the receiver knows repetitions by it.';

create table indexpilot.notice_cursor (
  installation_id integer primary key references indexpilot.installation,
  read_to timestamptz not null
);
comment on table indexpilot.notice_cursor is
  'Up to when decisions and transitions were made into notices. Kept for ever (one row).';

create index on indexpilot.deployment_event (at);
`,
};
