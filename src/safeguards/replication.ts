import type { Session } from "../postgres/index.ts";

/** How far standbys are behind. */
export interface ReplicationLag {
  readonly standbys: number;
  /** Of the one that is furthest behind, milliseconds; null where none tells (one that has caught up, or an idle server). */
  readonly lagMs: number | null;
  /** WAL written and not yet replayed by the one that is furthest behind; null without standbys. */
  readonly lagBytes: number | null;
}

// Physical standbys only: a logical subscriber does not replay our index. Reading locks nothing; needs pg_read_all_stats, part of pg_monitor.
const lagSql = `
  select count(*)::int as standbys,
         max(extract(epoch from r.replay_lag))::float8 * 1000 as lag_ms,
         max(pg_catalog.pg_wal_lsn_diff(case when not pg_is_in_recovery() then pg_catalog.pg_current_wal_lsn() end, r.replay_lsn))::float8
           as lag_bytes
    from pg_catalog.pg_stat_replication r
   where r.state in ('streaming', 'catchup')
     and not exists (select from pg_catalog.pg_replication_slots s where s.active_pid = r.pid and s.slot_type = 'logical')`;

/** Reads the lag over a session of the observing role. */
export const readReplicationLag = async (session: Session): Promise<ReplicationLag> => {
  const [row] = await session.query<{ standbys: number; lag_ms: number | null; lag_bytes: number | null }>(lagSql);
  return { standbys: row?.standbys ?? 0, lagMs: row?.lag_ms ?? null, lagBytes: row?.lag_bytes ?? null };
};

/**
 * Bytes of the databases this role may connect to (all of them with pg_read_all_stats). Looks at every file: a second or so with a hundred thousand
 * tables, so ask only where somebody wants to know.
 */
export const readDatabaseBytes = async (session: Session): Promise<number> => {
  const [row] = await session.query<{ bytes: number | null }>(
    `select sum(pg_catalog.pg_database_size(oid))::float8 as bytes from pg_catalog.pg_database
      where pg_catalog.has_database_privilege(oid, 'connect') or pg_catalog.pg_has_role('pg_read_all_stats', 'usage')`,
  );
  return row?.bytes ?? 0;
};
