import type { Deployment, IndexDefinition, TableName } from "../domain/index.ts";
import type { Session } from "../postgres/index.ts";
import { gatedPredicateText } from "../sql/index.ts";

// What the rollout reads of the target. Nothing here locks more than a read of the catalogue does; every role may run it.

/** An index on a deployment's table, as the catalogue has it now. */
export interface CatalogIndex {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  /** Valid, ready for writes and live: what a finished index is. A partitioned index's parent need not be valid: it has no rows. */
  readonly usable: boolean;
  /** A partitioned index's parent. */
  readonly isParent: boolean;
  /** Null: the database's own. */
  readonly tablespace: string | null;
  readonly definition: string;
  /** Main fork. */
  readonly sizeBytes: number;
  readonly comment: string | null;
}

const indexSql = `
  select i.indexrelid as oid, n.nspname as schema, c.relname as name,
         (i.indisvalid or c.relkind = 'I') and i.indisready and i.indislive as usable, c.relkind = 'I' as "isParent",
         (select spcname from pg_catalog.pg_tablespace where oid = c.reltablespace) as tablespace,
         pg_catalog.pg_get_indexdef(i.indexrelid) as definition,
         coalesce(pg_catalog.pg_relation_size(i.indexrelid), 0) as size,
         pg_catalog.obj_description(i.indexrelid, 'pg_class') as comment
    from pg_catalog.pg_index i
    join pg_catalog.pg_class c on c.oid = i.indexrelid
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
   where i.indrelid = $1`;

interface IndexRow extends Omit<CatalogIndex, "sizeBytes"> {
  readonly size: string;
}

/**
 * The index of a deployment: on the same table (by OID), and the OID recorded after the build, or before that the temporary name.
 * Anything else, whatever its name or comment, is not found.
 */
export const readIndex = async (session: Session, deployment: Deployment): Promise<CatalogIndex | null> => {
  const rows =
    deployment.indexOid === null
      ? await session.query<IndexRow>(`${indexSql} and c.relname = $2`, [deployment.tableOid, deployment.temporaryName])
      : await session.query<IndexRow>(`${indexSql} and i.indexrelid = $2`, [deployment.tableOid, deployment.indexOid]);
  return fromRows(rows);
};

/** The index of a deployment's table with this OID. */
export const readIndexByOid = async (
  session: Session,
  { tableOid }: Pick<Deployment, "tableOid">,
  oid: number,
): Promise<CatalogIndex | null> =>
  fromRows(await session.query<IndexRow>(`${indexSql} and i.indexrelid = $2`, [tableOid, oid]));

/** Whatever index of the deployment's table has its final name now. */
export const readNamesake = async (session: Session, deployment: Deployment): Promise<CatalogIndex | null> =>
  fromRows(
    await session.query<IndexRow>(`${indexSql} and c.relname = $2`, [deployment.tableOid, deployment.indexName]),
  );

const fromRows = ([row]: readonly IndexRow[]): CatalogIndex | null => {
  if (row === undefined) return null;
  const { size, ...rest } = row;
  return { ...rest, sizeBytes: Number(size) };
};

/**
 * What `pg_get_indexdef` writes for a definition under a name. Quoted by the server, as it quotes its own answer: which words need quotes
 * differs between versions. Equal texts mean equal table, method, keys, order, operator classes, payload and predicate, and nothing besides
 * (uniqueness, collation, storage parameters would all show). Compare with `sameDefinition`.
 */
export const expectedDefinition = async (
  session: Session,
  definition: IndexDefinition,
  name: string,
): Promise<string> => {
  const plain = [
    name,
    definition.table.schema,
    definition.table.name,
    ...definition.keys.map((key) => key.column),
    ...definition.include,
    ...(definition.gate === undefined ? [] : [definition.gate.column]),
  ];
  const [row] = await session.query<{ quoted: string[] }>(
    "select array(select pg_catalog.quote_ident(n) from unnest($1::text[]) with ordinality as u (n, i) order by i) as quoted",
    [plain],
  );
  const [index, schema, table, ...columns] = row?.quoted ?? [];
  const keys = definition.keys.map((key, i) => {
    const target = key.expression === undefined ? (columns[i] ?? "") : asKey(key.expression);
    const opclass = key.opclass === undefined ? "" : ` ${key.opclass}`;
    if (definition.method !== "btree") return `${target}${opclass}`;
    const nulls = key.nulls === (key.direction === "asc" ? "last" : "first") ? "" : ` NULLS ${key.nulls.toUpperCase()}`;
    return `${target}${opclass}${key.direction === "desc" ? " DESC" : ""}${nulls}`;
  });
  const include = columns.slice(definition.keys.length, definition.keys.length + definition.include.length);
  const where =
    definition.gate === undefined
      ? definition.where
      : gatedPredicateText(columns.at(-1) ?? "", definition.gate, definition.where);
  return (
    `CREATE INDEX ${index ?? ""} ON ${schema ?? ""}.${table ?? ""} USING ${definition.method} (${keys.join(", ")})` +
    (include.length === 0 ? "" : ` INCLUDE (${include.join(", ")})`) +
    (where === undefined ? "" : ` WHERE ${where}`)
  );
};

// A call stands as it is, every other expression in parentheses (`looks_like_function`, ruleutils.c).
const asKey = (expression: string): string => (/^["\w.]+\(.*\)$/s.test(expression) ? expression : `(${expression})`);

/** A table's present name, or null when it is gone. */
export const readTableName = async (session: Session, oid: number): Promise<TableName | null> => {
  const [row] = await session.query<TableName>(
    `select n.nspname as schema, c.relname as name
       from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.oid = $1`,
    [oid],
  );
  return row ?? null;
};

/** Whether a relation of that name exists in the schema, whatever it is. */
export const nameTaken = async (session: Session, name: TableName): Promise<boolean> => {
  const rows = await session.query(
    `select from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      where n.nspname = $1 and c.relname = $2`,
    [name.schema, name.name],
  );
  return rows.length > 0;
};

export type Backend = NonNullable<Deployment["backend"]>;

// As text with microseconds, in a form no setting of the session changes.
const startedAt = "extract(epoch from backend_start)::text";

/** The session's own backend, as a later process can recognise it. */
export const readBackend = async (session: Session): Promise<Backend> => {
  const [row] = await session.query<{ started: string }>(
    `select ${startedAt} as started from pg_catalog.pg_stat_activity where pid = pg_backend_pid()`,
  );
  if (row === undefined) throw new Error("the session does not see its own backend");
  return { pid: session.pid, startedAt: row.started };
};

/**
 * What a recorded backend does now. Pids are reused, so its start must be the same. A backend whose details this role may not see
 * counts as `gone`: it belongs to another role, and ours did not.
 */
export const readBackendActivity = async (session: Session, backend: Backend): Promise<"gone" | "active" | "idle"> => {
  const [row] = await session.query<{ state: string | null }>(
    `select state from pg_catalog.pg_stat_activity where pid = $1 and ${startedAt} = $2`,
    [backend.pid, backend.startedAt],
  );
  if (row === undefined) return "gone";
  return row.state === "active" ? "active" : "idle";
};

/** How far a build is; see PostgreSQL's documentation of `pg_stat_progress_create_index`. */
export interface BuildProgress {
  readonly phase: string;
  readonly blocksDone: number;
  readonly blocksTotal: number;
  readonly tuplesDone: number;
  readonly tuplesTotal: number;
  readonly lockersDone: number;
  readonly lockersTotal: number;
  /** The backend whose transaction the build waits for now. */
  readonly waitsForPid: number | null;
  readonly elapsedMs: number;
}

/** One look at a DDL statement in flight. */
export interface Watched {
  readonly progress: Omit<BuildProgress, "elapsedMs"> | null;
  /** Indexes that REINDEX CONCURRENTLY holds: the one it rebuilds, and the copy that it builds beside it. */
  readonly heldIndexes: readonly number[];
  /** Who has waited longest for it. */
  readonly victim: { readonly pid: number; readonly waitedMs: number } | null;
}

// Background workers have no role (usesysid): autovacuum gives way by itself and is no victim. pg_blocking_pids is asked for waiting backends only.
const watchSql = `
  select p.phase, p.blocks_done, p.blocks_total, p.tuples_done, p.tuples_total, p.lockers_done, p.lockers_total,
         nullif(p.current_locker_pid, 0) as locker,
         array(select l.relation::int8 from pg_catalog.pg_locks l join pg_catalog.pg_index i on i.indexrelid = l.relation
                where l.pid = $1 and l.granted and l.locktype = 'relation' and l.mode = 'ShareUpdateExclusiveLock'
                  and l.database = (select oid from pg_catalog.pg_database where datname = current_database())) as held,
         v.pid as victim, v.waited_ms
    from (select) as always
    left join pg_catalog.pg_stat_progress_create_index p on p.pid = $1
    left join lateral (
      select w.pid, extract(epoch from clock_timestamp() - w.waitstart)::float8 * 1000 as waited_ms
        from pg_catalog.pg_locks w
        join pg_catalog.pg_stat_activity a on a.pid = w.pid and a.usesysid is not null
       where not w.granted and w.pid <> $1 and w.waitstart is not null and $1 = any (pg_catalog.pg_blocking_pids(w.pid))
       order by w.waitstart limit 1) v on true`;

interface WatchRow {
  readonly phase: string | null;
  readonly blocks_done: string | null;
  readonly blocks_total: string | null;
  readonly tuples_done: string | null;
  readonly tuples_total: string | null;
  readonly lockers_done: string | null;
  readonly lockers_total: string | null;
  readonly locker: string | null;
  readonly held: readonly string[];
  readonly victim: number | null;
  readonly waited_ms: number | null;
}

export const readWatched = async (session: Session, pid: number): Promise<Watched> => {
  const [row] = await session.query<WatchRow>(watchSql, [pid]);
  if (row === undefined) throw new Error("a select without a table gave no row");
  return {
    progress:
      row.phase === null
        ? null
        : {
            phase: row.phase,
            blocksDone: Number(row.blocks_done),
            blocksTotal: Number(row.blocks_total),
            tuplesDone: Number(row.tuples_done),
            tuplesTotal: Number(row.tuples_total),
            lockersDone: Number(row.lockers_done),
            lockersTotal: Number(row.lockers_total),
            waitsForPid: row.locker === null ? null : Number(row.locker),
          },
    heldIndexes: row.held.map(Number),
    victim: row.victim === null ? null : { pid: row.victim, waitedMs: row.waited_ms ?? 0 },
  };
};

/** Cancels a backend's statement; a role may do so to its own sessions. */
export const cancelBackend = async (session: Session, pid: number): Promise<void> => {
  await session.query("select pg_catalog.pg_cancel_backend($1)", [pid]);
};
