import type { Table } from "../domain/index.ts";
import { readManagedBy, type Session } from "../postgres/index.ts";

/** What a safeguard needs to know of the server at the moment of the decision. */
export interface ServerCondition {
  /** `server_version_num`. */
  readonly versionNum: number;
  /** The server is a replica, or new transactions of this role cannot write. */
  readonly readOnly: boolean;
  /** Indexes on the table, valid or not; null when there is no such table. */
  readonly indexesOnTable: number | null;
  /** The oldest transaction a build on this table would wait for. `pid` is null for a prepared transaction. */
  readonly oldestTransaction: { readonly pid: number | null; readonly ageMs: number } | null;
  /** Transactions of other roles a build may have to wait for, whose age this role cannot see (`pg_read_all_stats` shows it). */
  readonly hiddenTransactions: number;
  /** The extension whose business the table is; absent means nobody's. */
  readonly managedBy?: Table["managedBy"];
  /** Backends that build an index now, anywhere on the server, ours or others'. */
  readonly buildingPids: readonly number[];
}

// A concurrent build waits for transactions that hold a lock on its table, and for every older snapshot of the database (backend_xmin).
// Background workers (no role: autovacuum) are not waited for. Reading locks nothing; every role may, some rows then lack their times.
const conditionSql = `
  with holding as (
    select a.pid, a.xact_start as began
      from pg_catalog.pg_stat_activity a
     where a.datname = current_database() and a.pid <> pg_backend_pid() and a.usesysid is not null
       and (a.backend_xmin is not null
            or exists (select from pg_catalog.pg_locks l
                        where l.pid = a.pid and l.relation = $1 and l.granted and l.database = a.datid))
    union all
    select null, p.prepared
      from pg_catalog.pg_prepared_xacts p
     where p.database = current_database()
       and exists (select from pg_catalog.pg_locks own join pg_catalog.pg_locks l using (virtualtransaction)
                    where own.pid is null and own.transactionid = p.transaction and l.pid is null and l.relation = $1)
  )
  select pg_is_in_recovery() or current_setting('transaction_read_only')::boolean as read_only,
         (select count(*)::int from pg_catalog.pg_index i where i.indrelid = c.oid) as indexes,
         (select count(*)::int from holding where began is null) as hidden,
         oldest.pid as oldest_pid,
         oldest.began is not null as has_oldest,
         extract(epoch from clock_timestamp() - oldest.began)::float8 * 1000 as oldest_age_ms,
         array(select pid from pg_catalog.pg_stat_progress_create_index where pid <> pg_backend_pid()) as building
    from (select) as always
    left join pg_catalog.pg_class c on c.oid = $1
    left join lateral (select pid, began from holding where began is not null order by began limit 1) as oldest on true`;

interface ConditionRow {
  readonly read_only: boolean;
  readonly indexes: number | null;
  readonly hidden: number;
  readonly oldest_pid: number | null;
  readonly has_oldest: boolean;
  readonly oldest_age_ms: number | null;
  readonly building: readonly number[];
}

/** Reads the condition over any session on the target; best over the one that will build, for the same role then sees the same. */
export const readServerCondition = async (session: Session, tableOid: number): Promise<ServerCondition> => {
  const [row] = await session.query<ConditionRow & { exists: boolean }>(
    `select condition.*, exists (select from pg_catalog.pg_class where oid = $1) as exists from (${conditionSql}) as condition`,
    [tableOid],
  );
  if (row === undefined) throw new Error("the server did not tell its condition");
  return {
    versionNum: session.versionNum,
    readOnly: row.read_only,
    indexesOnTable: row.exists ? row.indexes : null,
    oldestTransaction: row.has_oldest ? { pid: row.oldest_pid, ageMs: row.oldest_age_ms ?? 0 } : null,
    hiddenTransactions: row.hidden,
    managedBy: await readManagedBy(session, tableOid),
    buildingPids: row.building,
  };
};
