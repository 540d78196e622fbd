import type { IndexFact, IndexSeries, IndexVersion } from "../domain/index.ts";
import type { Selectable } from "kysely";
import type { Database, Tables } from "./database.ts";
import { moveSamples } from "./samples.ts";
import { moveScans } from "./scans.ts";

/** What a look at the catalogue adds to one series. */
export interface VersionEntry {
  /** Null: a new series. */
  readonly seriesId: number | null;
  /** Where the index is now; null when it is gone. */
  readonly fact: IndexFact | null;
  /** Null: only its OID is new; what was seen of the index, and our own scans of it, are kept under that from then on. */
  readonly version: IndexVersion | null;
}

export interface VersionRepository {
  /** Every series with its latest version. */
  series(): Promise<readonly IndexSeries[]>;
  /** All versions of a series, oldest first. */
  versions(seriesId: number): Promise<readonly IndexVersion[]>;
  /** In one transaction. */
  add(entries: readonly VersionEntry[]): Promise<void>;
}

const versionOf = (row: Selectable<Tables["index_version"]>): IndexVersion => ({
  number: row.number,
  at: row.at,
  change: row.change,
  definition: row.definition,
  constraint: row.constraint_definition,
  tablespace: row.tablespace,
  sizeBytes: Number(row.size_bytes),
  actor: row.actor,
  reason: row.reason,
  deploymentId: row.deployment_id,
});

const rowOf = (seriesId: number, version: IndexVersion) => ({
  series_id: seriesId,
  number: version.number,
  at: version.at,
  change: version.change,
  definition: version.definition,
  constraint_definition: version.constraint,
  tablespace: version.tablespace,
  size_bytes: version.sizeBytes,
  actor: version.actor,
  reason: version.reason,
  deployment_id: version.deploymentId,
});

/** Rows per statement: eleven parameters each, and a statement takes 65,535. */
const CHUNK = 1000;

const chunks = <T>(values: readonly T[]): T[][] =>
  Array.from({ length: Math.ceil(values.length / CHUNK) }, (_, at) => values.slice(at * CHUNK, (at + 1) * CHUNK));

const place = (fact: IndexFact) => ({
  table_oid: fact.tableOid,
  table_schema: fact.table.schema,
  table_name: fact.table.name,
  schema_name: fact.schema,
  index_name: fact.name,
  index_oid: fact.oid,
});

export const versionRepository = (db: Database, installationId: number): VersionRepository => ({
  async series() {
    const rows = await db
      .selectFrom("index_series as series")
      .innerJoin("index_version as version", "version.series_id", "series.id")
      .selectAll()
      .where("series.installation_id", "=", installationId)
      .where("version.number", "=", (on) =>
        on
          .selectFrom("index_version as other")
          .select((of) => of.fn.max("other.number").as("number"))
          .whereRef("other.series_id", "=", "series.id"),
      )
      .orderBy("series.table_schema")
      .orderBy("series.table_name")
      .orderBy("series.index_name")
      .execute();
    return rows.map((row) => ({
      id: row.id,
      tableOid: row.table_oid,
      table: { schema: row.table_schema, name: row.table_name },
      schema: row.schema_name,
      name: row.index_name,
      indexOid: row.index_oid,
      latest: versionOf(row),
    }));
  },
  async versions(seriesId) {
    const rows = await db
      .selectFrom("index_version")
      .innerJoin("index_series", "index_series.id", "index_version.series_id")
      .selectAll("index_version")
      .where("installation_id", "=", installationId)
      .where("series_id", "=", seriesId)
      .orderBy("number")
      .execute();
    return rows.map(versionOf);
  },
  async add(entries) {
    await db.transaction().execute(async (transaction) => {
      const begun = entries.flatMap(({ seriesId, fact }) => (seriesId === null && fact !== null ? [fact] : []));
      const ids = new Map<number | null, number>();
      // At the first look at a large database there are a hundred thousand of them.
      for (const some of chunks(begun)) {
        const made = await transaction
          .insertInto("index_series")
          .values(some.map((fact) => ({ installation_id: installationId, ...place(fact) })))
          .returning(["id", "index_oid"])
          .execute();
        for (const row of made) ids.set(row.index_oid, row.id);
      }
      for (const { seriesId, fact, version } of entries) {
        if (seriesId === null) continue;
        if (fact !== null && version === null) {
          const { index_oid: before } = await transaction
            .selectFrom("index_series")
            .select("index_oid")
            .where("id", "=", seriesId)
            .executeTakeFirstOrThrow();
          if (before !== null) {
            await moveSamples(transaction, installationId, before, fact.oid);
            await moveScans(transaction, installationId, before, fact.oid);
          }
        }
        await transaction
          .updateTable("index_series")
          .set(fact === null ? { index_oid: null } : place(fact))
          .where("id", "=", seriesId)
          .execute();
      }
      const versions = entries.flatMap(({ seriesId, fact, version }) => {
        const id = seriesId ?? ids.get(fact?.oid ?? null);
        if (id === undefined) throw new Error("a series begins with an index");
        return version === null ? [] : [rowOf(id, version)];
      });
      for (const some of chunks(versions)) await transaction.insertInto("index_version").values(some).execute();
    });
  },
});
