import { sql } from "kysely";
import type { IndexSample, KeptForecast } from "../domain/index.ts";
import type { Database } from "./database.ts";

/** Looks at all indexes over time, and what was forecast from them. */
export interface SampleRepository {
  /** One look. Where a forecast of the same file was due within the last 36 hours, what came of it is filled in. */
  add(samples: readonly IndexSample[]): Promise<void>;
  /** By index OID, oldest first; since then. */
  since(at: Date): Promise<ReadonlyMap<number, readonly IndexSample[]>>;
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
  async since(at) {
    const rows = await db
      .selectFrom("index_sample")
      .selectAll()
      .where("installation_id", "=", installationId)
      .where("at", ">=", at)
      .orderBy("index_oid")
      .orderBy("at")
      .execute();
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
