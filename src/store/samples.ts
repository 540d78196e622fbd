import { type Selectable, sql } from "kysely";
import type { IndexSample, KeptForecast } from "../domain/index.ts";
import type { Database, Tables } from "./database.ts";

/** Looks at all indexes over time, and what was forecast from them. */
export interface SampleRepository {
  /** One look. Where a forecast of the same file was due within the last 36 hours, what came of it is filled in. */
  add(samples: readonly IndexSample[]): Promise<void>;
  /** By index OID, oldest first; since then, of these indexes. */
  since(at: Date, indexOids: readonly number[]): Promise<ReadonlyMap<number, readonly IndexSample[]>>;
  /**
   * The same of all indexes, without the looks that say nothing new of use and of rewrites. Left are, of each server that counts scans, the last look, those on both
   * sides of the last change and the last from which a counter fell; and those of 36 hours after a rewrite, the one before, the first after, and the
   * first with this share of bloat.
   */
  tellingSince(at: Date, share: number): Promise<ReadonlyMap<number, readonly IndexSample[]>>;
  /** At most one a day for each index: those of an index that has one of the last 20 hours are left out. */
  addForecasts(forecasts: readonly Omit<KeptForecast, "achieved">[]): Promise<void>;
  /** Those whose time has come since then, with what came. */
  achieved(since: Date): Promise<readonly KeptForecast[]>;
}

/** Rows per statement: fourteen parameters each, and a statement takes 65,535. */
const CHUNK = 1000;
const HOUR_MS = 3_600_000;
/** A look so long after a forecast was due says nothing of it any more: it is of another day. */
const LATEST_HOURS = 36;

const chunks = <T>(values: readonly T[]): T[][] =>
  Array.from({ length: Math.ceil(values.length / CHUNK) }, (_, at) => values.slice(at * CHUNK, (at + 1) * CHUNK));

/**
 * What was seen of an index goes on under the OID that it has now. What was seen of the new one before the last look at the old is that of a copy which was
 * being built.
 */
export const moveSamples = async (db: Database, installationId: number, from: number, to: number): Promise<void> => {
  await db
    .deleteFrom("index_sample")
    .where("installation_id", "=", installationId)
    .where("index_oid", "=", to)
    .where("at", "<=", (on) =>
      on
        .selectFrom("index_sample as old")
        .select((of) => of.fn.max("old.at").as("at"))
        .where("old.installation_id", "=", installationId)
        .where("old.index_oid", "=", from),
    )
    .execute();
  await db
    .updateTable("index_sample")
    .set({ index_oid: to })
    .where("installation_id", "=", installationId)
    .where("index_oid", "=", from)
    .execute();
};

type SampleRow = Selectable<Tables["index_sample"]>;

const byIndex = (rows: readonly SampleRow[]): ReadonlyMap<number, readonly IndexSample[]> => {
  const found = new Map<number, IndexSample[]>();
  for (const row of rows) {
    const series = found.get(row.index_oid) ?? [];
    found.set(row.index_oid, series);
    series.push({
      at: row.at,
      indexOid: row.index_oid,
      fileNode: Number(row.file_node),
      sizeBytes: Number(row.size_bytes),
      neededBytes: row.needed_bytes === null ? null : Number(row.needed_bytes),
      entries: row.entries,
      bloat: row.bloat === null || row.method === null ? null : { share: row.bloat, method: row.method },
      scans: Number(row.scans),
      replicaScans: row.replica_scans,
      tableWrites: Number(row.table_writes),
      updates: Number(row.updates),
      hotUpdates: Number(row.hot_updates),
    });
  }
  return found;
};

export const sampleRepository = (db: Database, installationId: number): SampleRepository => ({
  async add(samples) {
    await db.transaction().execute(async (transaction) => {
      for (const some of chunks(samples)) {
        await transaction
          .insertInto("index_sample")
          .values(
            some.map((one) => ({
              installation_id: installationId,
              index_oid: one.indexOid,
              at: one.at,
              file_node: one.fileNode,
              size_bytes: one.sizeBytes,
              needed_bytes: one.neededBytes,
              entries: one.entries,
              bloat: one.bloat?.share ?? null,
              method: one.bloat?.method ?? null,
              scans: one.scans,
              replica_scans: JSON.stringify(one.replicaScans),
              table_writes: one.tableWrites,
              updates: one.updates,
              hot_updates: one.hotUpdates,
            })),
          )
          .onConflict((conflict) => conflict.doNothing())
          .execute();
      }
      const [first] = samples;
      if (first === undefined) return;
      await transaction
        .updateTable("index_forecast")
        .from("index_sample")
        .set({ achieved: sql<number>`index_sample.bloat` })
        .whereRef("index_sample.index_oid", "=", "index_forecast.index_oid")
        .whereRef("index_sample.file_node", "=", "index_forecast.file_node")
        .where("index_sample.installation_id", "=", installationId)
        .where("index_forecast.installation_id", "=", installationId)
        .where("index_sample.at", "=", first.at)
        .where("index_sample.bloat", "is not", null)
        .where("index_forecast.achieved", "is", null)
        .where("index_forecast.due_at", "<=", first.at)
        .where("index_forecast.due_at", ">=", new Date(first.at.getTime() - LATEST_HOURS * HOUR_MS))
        .execute();
    });
  },
  async since(at, indexOids) {
    const rows = await db
      .selectFrom("index_sample")
      .selectAll()
      .where("installation_id", "=", installationId)
      .where("at", ">=", at)
      .where(sql<boolean>`index_oid = any(${indexOids}::oid[])`)
      .orderBy("index_oid")
      .orderBy("at")
      .execute();
    return byIndex(rows);
  },
  async tellingSince(at, share) {
    const { rows } = await sql<SampleRow>`
      with looks as (
        select index_oid, at, file_node, bloat, scans, replica_scans, lead(file_node) over one as next_node,
               -- Where neither count changes, the looks between say nothing.
               lag((scans, replica_scans)) over one is distinct from (scans, replica_scans)
               or lead((scans, replica_scans)) over one is distinct from (scans, replica_scans) as is_edge
          from indexpilot.index_sample where installation_id = ${installationId} and at >= ${at}
        window one as (partition by index_oid order by at)
      ), counts as (
        select l.index_oid, c.node, l.at, c.scans, lead(l.at) over one as next_at, lead(c.scans) over one as next_scans
          from looks l
         cross join lateral (select '' as node, l.scans union all
                             select r.key, r.value::bigint from jsonb_each_text(l.replica_scans) r) c
         where l.is_edge
        window one as (partition by l.index_oid, c.node order by l.at)
      ), used as (
        select index_oid, min(at) as first, max(at) as last, max(at) filter (where next_scans <> scans) as changed,
               max(next_at) filter (where next_scans <> scans) as quiet, max(at) filter (where next_scans < scans) as fell
          from counts group by index_oid, node
      ), rewritten as (
        select index_oid, at, next_node from looks where next_node <> file_node
      ), telling (index_oid, at) as (
        select u.index_oid, t.at from used u cross join lateral (values (u.last), (u.changed), (coalesce(u.quiet, u.first)), (u.fell)) t (at)
        union
        select index_oid, at from rewritten
        union
        select l.index_oid, l.at from rewritten r
          join looks l on l.index_oid = r.index_oid and l.file_node = r.next_node and l.at > r.at and l.at <= r.at + interval '36 hours'
        union
        select l.index_oid, min(l.at) from rewritten r
          join looks l on l.index_oid = r.index_oid and l.file_node = r.next_node and l.at > r.at
         group by l.index_oid, r.at
        union
        select index_oid, min(at) from looks where bloat >= ${share} group by index_oid, file_node
      )
      select s.* from indexpilot.index_sample s join telling t using (index_oid, at)
       where s.installation_id = ${installationId} order by s.index_oid, s.at`.execute(db);
    return byIndex(rows);
  },
  async addForecasts(forecasts) {
    const [first] = forecasts;
    if (first === undefined) return;
    const recent = await db
      .selectFrom("index_forecast")
      .select("index_oid")
      .where("installation_id", "=", installationId)
      .where("made_at", ">", new Date(first.madeAt.getTime() - 20 * HOUR_MS))
      .execute();
    const known = new Set(recent.map((row) => row.index_oid));
    for (const some of chunks(forecasts.filter(({ indexOid }) => !known.has(indexOid)))) {
      await db
        .insertInto("index_forecast")
        .values(
          some.map((one) => ({
            installation_id: installationId,
            index_oid: one.indexOid,
            file_node: one.fileNode,
            made_at: one.madeAt,
            due_at: one.dueAt,
            value: one.value,
            low: one.low,
            high: one.high,
            achieved: null,
          })),
        )
        .onConflict((conflict) => conflict.doNothing())
        .execute();
    }
  },
  async achieved(since) {
    const rows = await db
      .selectFrom("index_forecast")
      .selectAll()
      .where("installation_id", "=", installationId)
      .where("achieved", "is not", null)
      .where("due_at", ">=", since)
      .orderBy("due_at")
      .execute();
    return rows.map((row) => ({
      indexOid: row.index_oid,
      fileNode: Number(row.file_node),
      madeAt: row.made_at,
      dueAt: row.due_at,
      value: row.value,
      low: row.low,
      high: row.high,
      achieved: row.achieved,
    }));
  },
});
