import type { Migration } from "./migration.ts";

/** The counters of statements as they were when we last changed something. */
export const counterReading: Migration = {
  name: "0004_counter_reading",
  sql: `
create table indexpilot.counter_reading (
  installation_id integer primary key references indexpilot.installation,
  taken_at timestamptz not null,
  reset_at timestamptz,
  counters jsonb not null
);
comment on table indexpilot.counter_reading is
  'pg_stat_statements when IndexPilot last built or dropped an index: what was counted since then is the workload of the next advice. One row, kept for as long as it is the latest.';
comment on column indexpilot.counter_reading.reset_at is 'When the counters had last been reset; null where the server cannot tell.';
comment on column indexpilot.counter_reading.counters is
  'By role OID and query id: calls, total ms, standard deviation, rows, blocks hit and read, temporary blocks, WAL bytes, counting since.';
`,
};
