import { majorVersion, type ServerIdentity } from "../../domain/index.ts";
import { quoteLiteral, type Session } from "../../postgres/index.ts";
import { formatSize } from "../../config/index.ts";
import { type Check, found, isApplications, ok, RESTART, SUPERUSER } from "./check.ts";

export const versionCheck = ({ versionNum }: ServerIdentity): Check => {
  const name = "server version";
  return versionNum >= 140_000 && versionNum < 140_004
    ? found(
        "problem",
        name,
        `14.${String(versionNum - 140_000)}: concurrent index builds can corrupt an index before 14.4`,
        "upgrade to the newest minor release of 14; until then IndexPilot advises and builds nothing",
      )
    : ok(name, `${String(majorVersion(versionNum))} is supported`);
};

/** That we got here says that no pooler is in between: a session to one is refused. */
export const connectionCheck = async (session: Session): Promise<Check> => {
  const name = "connection";
  const [row] = await session.query<{ ssl: boolean; local: boolean }>(
    `select coalesce((select ssl from pg_stat_ssl where pid = pg_backend_pid()), false) as ssl,
            inet_client_addr() is null or inet_client_addr() <<= '127.0.0.0/8' or inet_client_addr() = '::1' as local`,
  );
  return row?.ssl === true || row?.local === true
    ? ok(name, `straight to the server, no pooler in between, ${row.ssl ? "encrypted" : "on the same machine"}`)
    : found(
        "warning",
        name,
        "straight to the server, but not encrypted",
        "add ?sslmode=verify-full&sslrootcert=/path/ca.pem to the URL",
      );
};

/** Needs no privilege; without pg_read_all_stats the names of replicas stay hidden, their number does not. */
export const replicationChecks = async (
  session: Session,
  { node }: ServerIdentity,
  hasBuildUrl: boolean,
): Promise<Check[]> => {
  if (node === "replica") {
    return [
      found(
        hasBuildUrl ? "note" : "warning",
        "primary",
        "this server is a replica: its workload can be read, nothing can be built on it",
        hasBuildUrl ? null : "give the primary with --build-url",
      ),
    ];
  }
  const [row] = await session.query<{ replicas: number; logical: number }>(
    `select count(*) filter (where s.slot_type is distinct from 'logical')::int as replicas,
            count(*) filter (where s.slot_type = 'logical')::int as logical
       from pg_stat_replication r left join pg_replication_slots s on s.active_pid = r.pid`,
  );
  const { replicas = 0, logical = 0 } = row ?? {};
  const checks: Check[] = [
    replicas + logical === 0
      ? ok("replicas", "none streams from this server now")
      : found(
          "note",
          "replicas",
          `${String(replicas)} physical and ${String(logical)} logical streams: physical replicas get every index too, and their queries are not in this server's statistics`,
          "observe a replica with its own --url to see what it runs",
        ),
  ];
  const idle = await session.query<{ slot: string; kept: string }>(
    `select slot_name::text as slot, pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::text as kept
       from pg_replication_slots where not active and restart_lsn is not null order by restart_lsn`,
  );
  for (const { slot, kept } of idle) {
    checks.push(
      found(
        "warning",
        "replication slot",
        `slot ${slot} is not read and keeps ${formatSize(Number(kept))} of WAL; every build adds to it`,
        `select pg_drop_replication_slot(${quoteLiteral(slot)}); -- if nobody will come back for it`,
      ),
    );
  }
  return checks;
};

interface Advisable {
  readonly setting: string;
  readonly wanted: string;
  readonly level: "note" | "warning" | "problem";
  readonly found: string;
}

const settings: readonly Advisable[] = [
  {
    setting: "track_counts",
    wanted: "on",
    level: "warning",
    found: "off: neither index scans nor changed rows are counted, and autovacuum is blind",
  },
  { setting: "track_activities", wanted: "on", level: "warning", found: "off: nobody can see what a build waits for" },
  {
    setting: "autovacuum",
    wanted: "on",
    level: "warning",
    found: "off: the planner's statistics age, and so does all advice from them",
  },
  {
    setting: "track_io_timing",
    wanted: "on",
    level: "note",
    found: "off: time spent reading is not told from time spent computing",
  },
  { setting: "track_wal_io_timing", wanted: "on", level: "note", found: "off: time spent writing WAL is not known" },
];

/** Everybody may read these settings. */
export const settingChecks = async (session: Session): Promise<Check[]> => {
  const rows = await session.query<{ name: string; setting: string }>(
    "select name, setting from pg_settings where name = any ($1)",
    [settings.map(({ setting }) => setting)],
  );
  return settings.flatMap(({ setting, wanted, level, found: what }) => {
    const value = rows.find((row) => row.name === setting)?.setting;
    if (value === undefined) return [];
    return value === wanted
      ? [ok(setting, value)]
      : [found(level, setting, what, `alter system set ${setting} = ${wanted}; select pg_reload_conf(); ${SUPERUSER}`)];
  });
};

/**
 * Planning locks a table, its partitions and every index of them, for each session at once: that, not memory, is what many indexes run out of.
 */
export const lockCheck = async (session: Session): Promise<Check> => {
  const name = "max_locks_per_transaction";
  const [row] = await session.query<{ limit: number; locks: number; table: string | null }>(
    `with recursive tree as (
       select c.oid as root, c.oid as member from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where c.relkind in ('r', 'p') and not c.relispartition and ${isApplications}
       union all
       select t.root, i.inhrelid from tree t join pg_inherits i on i.inhparent = t.member
     ), locks as (
       select t.root, count(distinct t.member) + count(i.indexrelid) as n
         from tree t left join pg_index i on i.indrelid = t.member group by t.root
     )
     select current_setting('max_locks_per_transaction')::int as limit, coalesce(max(n), 0)::int as locks,
            (select root::regclass::text from locks order by n desc, 1 limit 1) as table
       from locks`,
  );
  const { limit = 64, locks = 0, table = "" } = row ?? {};
  return locks <= limit
    ? ok(name, `${String(limit)}; a query over the widest table takes ${String(locks)}`)
    : found(
        "warning",
        name,
        `${String(limit)}, but a query over all of ${table ?? ""} takes ${String(locks)} locks, and each new index adds one per partition`,
        `alter system set max_locks_per_transaction = ${String(2 ** Math.ceil(Math.log2(locks + 1)))}; ${RESTART}`,
      );
};

/** Needs CONNECT on the database only. What the disk has left, SQL does not tell. */
export const diskCheck = async (session: Session): Promise<Check> => {
  const [row] = await session.query<{ bytes: string }>("select pg_database_size(current_database())::text as bytes");
  return found(
    "note",
    "disk",
    `the database takes ${formatSize(Number(row?.bytes ?? 0))}; what the server's disk has left cannot be seen from here`,
    "keep free what --budget allows, and as much again for sorting while an index is built",
  );
};
