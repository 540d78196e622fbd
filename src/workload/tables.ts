import type { TableCounters } from "../domain/index.ts";
import type { Session } from "../postgres/index.ts";

/** Cumulative counters of the tables with a file of their own. */
export interface TablesReading {
  /** When any counter of the database was last reset, by a person or by a crash; null where none ever was. */
  readonly resetAt: Date | null;
  /** By OID. */
  readonly tables: ReadonlyMap<number, TableCounters & { readonly ancestors: readonly number[] }>;
}

interface Row {
  readonly reset_at: Date | null;
  readonly oid: number | null;
  readonly ancestors: readonly number[];
  readonly inserted: number;
  readonly updated: number;
  readonly hot_updated: number;
  readonly deleted: number;
}

// The functions below pg_stat_user_tables, which would count the scans of all indexes as well. Locks nothing; every role may ask.
const statement = `
  select pg_stat_get_db_stat_reset_time(d.oid) as reset_at, t.*
    from pg_database d
    left join lateral (
      select c.oid,
             case when c.relispartition then array(select a.relid::oid from pg_partition_ancestors(c.oid) a where a.relid <> c.oid)
                  else '{}' end as ancestors,
             pg_stat_get_tuples_inserted(c.oid)::float8 as inserted, pg_stat_get_tuples_updated(c.oid)::float8 as updated,
             pg_stat_get_tuples_hot_updated(c.oid)::float8 as hot_updated, pg_stat_get_tuples_deleted(c.oid)::float8 as deleted
        from pg_class c
        join pg_namespace n on n.oid = c.relnamespace
       where c.relkind = 'r' and c.relpersistence <> 't' and n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'indexpilot')
    ) t on true
   where d.datname = current_database()`;

export const readTables = async (session: Session): Promise<TablesReading> => {
  const rows = await session.query<Row>(statement);
  return {
    resetAt: rows[0]?.reset_at ?? null,
    tables: new Map(
      rows.flatMap(({ oid, ancestors, inserted, updated, hot_updated: hotUpdated, deleted }) =>
        oid === null ? [] : [[oid, { ancestors, inserted, updated, hotUpdated, deleted }]],
      ),
    ),
  };
};

const none: TableCounters = { inserted: 0, updated: 0, hotUpdated: 0, deleted: 0 };

const added = (a: TableCounters, b: TableCounters, sign: 1 | -1): TableCounters => ({
  inserted: a.inserted + sign * b.inserted,
  updated: a.updated + sign * b.updated,
  hotUpdated: a.hotUpdated + sign * b.hotUpdated,
  deleted: a.deleted + sign * b.deleted,
});

/**
 * What was written to each table between two readings, as {@link Block.tables} has it. PostgreSQL notes the time of every reset, of one table as of all of
 * them, for the database: the counters of a block with a reset in it are left out.
 */
export const tablesBetween = (before: TablesReading, after: TablesReading): ReadonlyMap<number, TableCounters> => {
  const sums = new Map<number, TableCounters>();
  if (before.resetAt?.getTime() !== after.resetAt?.getTime()) return sums;
  for (const [oid, { ancestors, ...late }] of after.tables) {
    const within = added(late, before.tables.get(oid) ?? none, -1);
    if (Object.values(within).every((count) => count === 0)) continue;
    for (const table of [oid, ...ancestors]) sums.set(table, added(sums.get(table) ?? none, within, 1));
  }
  return sums;
};
