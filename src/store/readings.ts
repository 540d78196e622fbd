import type { ServerIdentity, StatementCounters } from "../domain/index.ts";
import type { Session } from "../postgres/index.ts";
import type { Database, PackedCounters } from "./database.ts";

/** The cumulative counters of all statements at one moment. No texts and no values. */
export interface CounterReading {
  /** By the server's clock. */
  readonly takenAt: Date;
  /** When the counters had last been reset; null where the server cannot tell. */
  readonly resetAt: Date | null;
  /** By role and query id, as in a snapshot of the workload. */
  readonly rows: ReadonlyMap<string, { readonly counters: StatementCounters; readonly since: Date | null }>;
}

export interface ReadingRepository {
  /** Takes the place of the one before. */
  save(reading: CounterReading): Promise<void>;
  latest(): Promise<CounterReading | null>;
}

const pack = ({ rows }: CounterReading): string =>
  JSON.stringify(
    Object.fromEntries(
      [...rows].map(([key, { counters: c, since }]): [string, PackedCounters[string]] => [
        key,
        [
          c.calls,
          c.totalMs,
          c.stddevMs,
          c.rows,
          c.sharedBlocksHit,
          c.sharedBlocksRead,
          c.tempBlocks,
          c.walBytes,
          since?.toISOString() ?? null,
        ],
      ]),
    ),
  );

const unpack = (counters: PackedCounters): CounterReading["rows"] =>
  new Map(
    Object.entries(counters).map(([key, [calls, totalMs, stddevMs, rows, hit, read, tempBlocks, walBytes, since]]) => [
      key,
      {
        counters: {
          calls,
          totalMs,
          stddevMs,
          rows,
          sharedBlocksHit: hit,
          sharedBlocksRead: read,
          tempBlocks,
          walBytes,
        },
        since: since === null ? null : new Date(since),
      },
    ]),
  );

export const readingRepository = (db: Database, installationId: number): ReadingRepository => ({
  async save(reading) {
    const values = { taken_at: reading.takenAt, reset_at: reading.resetAt, counters: pack(reading) };
    await db
      .insertInto("counter_reading")
      .values({ installation_id: installationId, ...values })
      .onConflict((conflict) => conflict.column("installation_id").doUpdateSet(values))
      .execute();
  },
  async latest() {
    const row = await db
      .selectFrom("counter_reading")
      .select(["taken_at", "reset_at", "counters"])
      .where("installation_id", "=", installationId)
      .executeTakeFirst();
    return row === undefined ? null : { takenAt: row.taken_at, resetAt: row.reset_at, rows: unpack(row.counters) };
  },
});

/**
 * The latest reading over a session that only observes; null where there is none for this database, or the session's role may not read it. Reads only.
 */
export const observeReading = async (session: Session, server: ServerIdentity): Promise<CounterReading | null> => {
  // Through the catalogue, because `to_regclass` fails without USAGE on the schema.
  const [found] = await session.query<{ readable: boolean }>(
    `select pg_catalog.has_schema_privilege(n.oid, 'usage')
            and coalesce((select bool_and(pg_catalog.has_table_privilege(c.oid, 'select')) and count(*) = 2
                            from pg_catalog.pg_class c
                           where c.relnamespace = n.oid and c.relname in ('installation', 'counter_reading')), false) as readable
       from pg_catalog.pg_namespace n where n.nspname = 'indexpilot'`,
  );
  if (found?.readable !== true) return null;
  const [row] = await session.query<{
    taken_at: Date;
    reset_at: Date | null;
    counters: PackedCounters;
  }>(
    `select r.taken_at, r.reset_at, r.counters
       from indexpilot.counter_reading r join indexpilot.installation i on i.id = r.installation_id
      where i.system_identifier = $1 and i.database_oid = $2`,
    [server.systemIdentifier, server.databaseOid],
  );
  return row === undefined ? null : { takenAt: row.taken_at, resetAt: row.reset_at, rows: unpack(row.counters) };
};
