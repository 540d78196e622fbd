import { sql } from "kysely";
import type { Database } from "./database.ts";

/** Scans of the target's indexes that we caused ourselves, to be subtracted from `idx_scan`. */
export interface ScanLedger {
  /** Adds to what is recorded. Zero counts are left out. */
  add(scans: ReadonlyMap<number, number>, at: Date): Promise<void>;
  /** By index OID. */
  read(): Promise<ReadonlyMap<number, number>>;
}

/** Ours go on counting under the OID that an index has now, as the server's do: REINDEX CONCURRENTLY copies its counters. */
export const moveScans = async (db: Database, installationId: number, from: number, to: number): Promise<void> => {
  const [old] = await db
    .deleteFrom("scan_ledger")
    .where("installation_id", "=", installationId)
    .where("index_oid", "=", from)
    .returning(["scans", "updated_at"])
    .execute();
  if (old !== undefined) await scanLedger(db, installationId).add(new Map([[to, Number(old.scans)]]), old.updated_at);
};

export const scanLedger = (db: Database, installationId: number): ScanLedger => ({
  async add(scans, at) {
    // In order of the OID, so that two writers cannot wait for each other.
    const rows = [...scans]
      .filter(([, count]) => count > 0)
      .sort(([a], [b]) => a - b)
      .map(([oid, count]) => ({ installation_id: installationId, index_oid: oid, scans: count, updated_at: at }));
    if (rows.length === 0) return;
    await db
      .insertInto("scan_ledger")
      .values(rows)
      .onConflict((conflict) =>
        conflict.columns(["installation_id", "index_oid"]).doUpdateSet({
          scans: sql<number>`scan_ledger.scans + excluded.scans`,
          updated_at: sql<Date>`greatest(scan_ledger.updated_at, excluded.updated_at)`,
        }),
      )
      .execute();
  },
  async read() {
    const rows = await db
      .selectFrom("scan_ledger")
      .select(["index_oid", "scans"])
      .where("installation_id", "=", installationId)
      .execute();
    return new Map(rows.map((row) => [row.index_oid, Number(row.scans)]));
  },
});
