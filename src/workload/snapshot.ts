import type { ObservationScope, Statement, StatementCounters } from "../domain/index.ts";
import { failure } from "../errors.ts";
import { quoteIdentifier, type Session, SqlState, sqlStateOf } from "../postgres/index.ts";
import { loadParser, maximumStatementBytes } from "../sql/index.ts";
import { type Classification, classify } from "./classification.ts";
import { readScopes } from "./scopes.ts";
import { statementId } from "./statement-id.ts";

/** One row of pg_stat_statements that may be of interest. */
export interface SnapshotRow {
  /** Role and query id: the identity of a row within one database. */
  readonly key: string;
  readonly queryId: string;
  readonly scope: ObservationScope;
  /** Null when too long. */
  readonly text: string | null;
  readonly classification: Exclude<Classification, { kind: "ignored" }>;
  /** `Statement.id`; null when declined. */
  readonly id: string | null;
  /** Cumulative. */
  readonly counters: StatementCounters;
  /** Since when the row counts (17+), else null. */
  readonly since: Date | null;
}

type ObservedStatement = Pick<Statement, "id" | "fingerprint" | "queryId" | "label" | "text" | "verb" | "scope">;

/** pg_stat_statements of one database at one moment, our own statements and utility statements left out. Holds normalised texts only. */
export interface StatementsSnapshot {
  /** By the server's clock. */
  readonly takenAt: Date;
  readonly serverStartedAt: Date;
  /** Null where the extension is too old to tell (before 1.9). */
  readonly resetAt: Date | null;
  /** How often the server has thrown out the least executed statements; null where it cannot tell. */
  readonly deallocations: number | null;
  readonly rows: readonly SnapshotRow[];
  /** Each statement once: what a stored block needs to be readable later. */
  readonly statements: readonly ObservedStatement[];
  /** Every key seen, also of rows that are left out: so that a text is classified once. */
  readonly ignoredKeys: ReadonlySet<string>;
  /** Rows of other roles whose text this role may not see. */
  readonly hidden: number;
}

export interface SnapshotOptions {
  /** Roles whose statements are not the application's: IndexPilot's own, where it has one of its own. */
  readonly excludeRoles?: readonly string[];
  /** The snapshot before, whose parsing is reused. */
  readonly previous?: StatementsSnapshot;
}

interface StatementRow {
  role_oid: string;
  role: string;
  queryid: string | null;
  query: string | null;
  hidden: boolean;
  calls: number;
  total_ms: number;
  stddev_ms: number;
  rows: number;
  hit: number;
  read: number;
  temp: number;
  wal: number;
  since: Date | null;
}

/**
 * Reads pg_stat_statements of the current database: top-level statements, by role.
 * Needs SELECT on the view (everybody has it) and pg_read_all_stats (in pg_monitor) to see the texts of others. Locks nothing but the view's
 * catalogue entries; the server copies all texts, so do not call it more than every few seconds.
 * @throws IndexPilotError `extension_missing`, `privilege_missing`
 */
export const readStatementsSnapshot = async (
  session: Session,
  options: SnapshotOptions = {},
): Promise<StatementsSnapshot> => {
  await loadParser();
  const extension = await findExtension(session);
  const schema = quoteIdentifier(extension.schema);
  try {
    return await read(session, schema, extension, options);
  } catch (error) {
    const state = sqlStateOf(error);
    if (state === SqlState.objectNotInPrerequisiteState) throw failure("extension_missing", notLoaded(true), error);
    if (state === SqlState.insufficientPrivilege) {
      throw failure(
        "privilege_missing",
        {
          what: `role "${session.target.user}" may not read ${extension.schema}.pg_stat_statements`,
          grant: `grant usage on schema ${schema} to ${quoteIdentifier(session.target.user)}; grant select on ${schema}.pg_stat_statements, ${schema}.pg_stat_statements_info to ${quoteIdentifier(session.target.user)};`,
        },
        error,
      );
    }
    throw error;
  }
};

interface Extension {
  readonly schema: string;
  readonly columns: ReadonlySet<string>;
  readonly hasInfo: boolean;
}

const notLoaded = (created: boolean): { extension: string; remedy: string } => ({
  extension: "pg_stat_statements",
  remedy:
    "add pg_stat_statements to shared_preload_libraries, restart the server" +
    (created ? "" : ", then: create extension pg_stat_statements;"),
});

/** pg_extension and pg_attribute are open to everybody. */
const findExtension = async (session: Session): Promise<Extension> => {
  const [found] = await session.query<{ schema: string; columns: string[]; has_info: boolean }>(`
    select n.nspname as schema,
           array(select a.attname::text from pg_attribute a where a.attrelid = v.oid and a.attnum > 0) as columns,
           exists (select from pg_class i where i.relnamespace = n.oid and i.relname = 'pg_stat_statements_info') as has_info
      from pg_extension e
      join pg_namespace n on n.oid = e.extnamespace
      join pg_class v on v.relnamespace = n.oid and v.relname = 'pg_stat_statements'
     where e.extname = 'pg_stat_statements'`);
  if (found === undefined) {
    // The library's own setting shows that it is loaded, to roles that may not see shared_preload_libraries.
    const [setting] = await session.query<{ loaded: boolean }>(
      "select current_setting('pg_stat_statements.max', true) is not null as loaded",
    );
    throw failure(
      "extension_missing",
      setting?.loaded
        ? { extension: "pg_stat_statements", remedy: "create extension pg_stat_statements; -- in this database" }
        : notLoaded(false),
    );
  }
  const columns = new Set(found.columns);
  if (!columns.has("total_exec_time") || !columns.has("wal_bytes")) {
    throw failure("extension_missing", {
      extension: "pg_stat_statements 1.8 or newer",
      remedy: "alter extension pg_stat_statements update;",
    });
  }
  return { schema: found.schema, columns, hasInfo: found.has_info };
};

const read = async (
  session: Session,
  schema: string,
  extension: Extension,
  options: SnapshotOptions,
): Promise<StatementsSnapshot> => {
  const has = (column: string): boolean => extension.columns.has(column);
  const [moment] = await session.query<{ at: Date; started: Date; reset: Date | null; dealloc: number | null }>(`
    select clock_timestamp() as at, pg_postmaster_start_time() as started,
           ${extension.hasInfo ? `i.stats_reset as reset, i.dealloc::float8 as dealloc from ${schema}.pg_stat_statements_info i` : "null::timestamptz as reset, null::float8 as dealloc"}`);
  if (moment === undefined) throw new Error("pg_stat_statements_info is empty");
  const rows = await session.query<StatementRow>(
    `select s.userid::text as role_oid, coalesce(r.rolname, s.userid::text) as role, s.queryid::text as queryid,
            case when octet_length(s.query) <= ${maximumStatementBytes} then s.query end as query,
            s.queryid is null and s.query = '<insufficient privilege>' as hidden,
            s.calls::float8 as calls, s.total_exec_time as total_ms, s.stddev_exec_time as stddev_ms, s.rows::float8 as rows,
            s.shared_blks_hit::float8 as hit, s.shared_blks_read::float8 as read,
            (s.temp_blks_read + s.temp_blks_written)::float8 as temp, s.wal_bytes::float8 as wal,
            ${has("stats_since") ? "s.stats_since" : "null::timestamptz"} as since
       from ${schema}.pg_stat_statements s
       left join pg_roles r on r.oid = s.userid
      where s.dbid = (select oid from pg_database where datname = current_database())
        and s.calls > 0
        ${has("toplevel") ? "and s.toplevel" : ""}
        and coalesce(r.rolname, '') <> all ($1::text[])`,
    [options.excludeRoles ?? []],
  );
  const visible = rows.filter((row) => !row.hidden && row.queryid !== null);
  const hidden = rows.filter((row) => row.hidden).length;
  const relations = await session.query<{ relname: string }>(
    "select relname from pg_class where relnamespace = 'pg_catalog'::regnamespace and relkind in ('r', 'v')",
  );
  const catalogRelations = new Set(relations.map(({ relname }) => relname));
  const scopes = await readScopes(session, new Map(visible.map((row) => [row.role_oid, row.role])));
  const known = new Map((options.previous?.rows ?? []).map((row) => [row.key, row]));
  const ignoredKeys = new Set<string>();
  const kept = visible.flatMap((row): SnapshotRow[] => {
    const key = `${row.role_oid}:${row.queryid ?? ""}`;
    const before = known.get(key);
    const classification = options.previous?.ignoredKeys.has(key)
      ? ({ kind: "ignored" } as const)
      : before?.text === row.query && before !== undefined
        ? before.classification
        : classify(row.query, catalogRelations);
    if (classification.kind === "ignored") {
      ignoredKeys.add(key);
      return [];
    }
    const scope = scopes.get(row.role_oid) ?? { role: row.role, searchPath: [] };
    return [
      {
        key,
        queryId: row.queryid ?? "",
        scope,
        text: row.query,
        classification,
        id: classification.kind === "statement" ? statementId(classification.fingerprint, scope) : null,
        counters: {
          calls: row.calls,
          totalMs: row.total_ms,
          stddevMs: row.stddev_ms,
          rows: row.rows,
          sharedBlocksHit: row.hit,
          sharedBlocksRead: row.read,
          tempBlocks: row.temp,
          walBytes: row.wal,
        },
        since: row.since,
      },
    ];
  });
  // What such a role does see is its own: nothing of the application's.
  if (kept.length === 0 && hidden > 0) {
    throw failure("privilege_missing", {
      what: `role "${session.target.user}" may not see the statements of other roles (${hidden} hidden)`,
      grant: `grant pg_read_all_stats to ${quoteIdentifier(session.target.user)}; -- or pg_monitor, which includes it`,
    });
  }
  return {
    takenAt: moment.at,
    serverStartedAt: moment.started,
    resetAt: moment.reset,
    deallocations: moment.dealloc,
    rows: kept,
    statements: statementsOf(kept),
    ignoredKeys,
    hidden,
  };
};

const statementsOf = (rows: readonly SnapshotRow[]): readonly ObservedStatement[] => {
  const statements = new Map<string, ObservedStatement>();
  for (const { id, queryId, scope, text, classification } of rows) {
    if (id === null || text === null || classification.kind !== "statement" || statements.has(id)) continue;
    const { fingerprint, label, verb } = classification;
    statements.set(id, { id, fingerprint, queryId, label, text, verb, scope });
  }
  return [...statements.values()];
};
