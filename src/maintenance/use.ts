import type { Session } from "../postgres/index.ts";
import type { ScanCounts } from "./lifecycle.ts";

/**
 * What one server has counted of its indexes. Counters of a database begin at their last reset; where none is recorded (15 and later), on a standby with its
 * start, for a standby has no counters of its own from before. Locks nothing; every role may ask.
 */
export const readScanCounts = async (
  session: Session,
  node: string,
  ownScans: ReadonlyMap<number, number>,
): Promise<ScanCounts> => {
  const [database] = await session.query<{ since: Date | null }>(
    `select coalesce(d.stats_reset, case when pg_is_in_recovery() then pg_postmaster_start_time() end) as since
       from pg_stat_database d where d.datname = current_database()`,
  );
  const last = session.versionNum >= 160_000 ? "last_idx_scan" : "null::timestamptz";
  const rows = await session.query<{ oid: number; scans: string; last: Date | null }>(
    `select indexrelid as oid, idx_scan::text as scans, ${last} as last from pg_stat_user_indexes where idx_scan > 0`,
  );
  const scans = new Map(
    rows
      .map(({ oid, scans: counted }) => [oid, Number(counted) - (ownScans.get(oid) ?? 0)] as const)
      .filter(([, counted]) => counted > 0),
  );
  return {
    node,
    since: database?.since ?? null,
    scans,
    // When ours were the last is not known, so that is no evidence of use by others: it may only be later than theirs.
    lastScan: new Map(
      rows.flatMap(({ oid, last: at }) => (at === null || !scans.has(oid) ? [] : [[oid, at] as const])),
    ),
  };
};

/** Tables with an index being built or rebuilt; null where the role may not see what others do (pg_monitor shows it). */
export const readBuilding = async (session: Session): Promise<ReadonlySet<number> | null> => {
  const rows = await session.query<{ table_oid: number | null }>(
    "select relid as table_oid from pg_stat_progress_create_index where datid = (select oid from pg_database where datname = current_database())",
  );
  if (rows.some(({ table_oid }) => table_oid === null)) return null;
  return new Set(rows.flatMap(({ table_oid }) => table_oid ?? []));
};

/** How many standbys stream from this server; null where the role may not see them. */
export const readStandbys = async (session: Session): Promise<number | null> => {
  const [row] = await session.query<{ visible: boolean; count: number }>(
    `select pg_has_role(current_user, 'pg_monitor', 'usage') or pg_has_role(current_user, 'pg_read_all_stats', 'usage') as visible,
            (select count(*) from pg_stat_replication where state = 'streaming' and application_name <> 'pg_basebackup')::int as count`,
  );
  return row?.visible === true ? row.count : null;
};
