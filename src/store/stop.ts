import type { StopSwitch } from "../domain/index.ts";
import type { Database } from "./database.ts";

export interface StopRepository {
  /** Null where nobody has stopped anything. */
  get(): Promise<StopSwitch | null>;
  /** The first to stop keeps his name on it. */
  set(stop: StopSwitch): Promise<void>;
  /** @returns what was cleared; null where nothing was stopped */
  clear(): Promise<StopSwitch | null>;
}

interface Row {
  readonly stopped_at: Date;
  readonly stopped_by: string;
  readonly reason: string;
}

const fromRow = (row: Row | undefined): StopSwitch | null =>
  row === undefined ? null : { stoppedAt: row.stopped_at, stoppedBy: row.stopped_by, reason: row.reason };

export const stopRepository = (db: Database, installationId: number): StopRepository => ({
  async get() {
    return fromRow(
      await db.selectFrom("stop_switch").selectAll().where("installation_id", "=", installationId).executeTakeFirst(),
    );
  },
  async set(stop) {
    await db
      .insertInto("stop_switch")
      .values({
        installation_id: installationId,
        stopped_at: stop.stoppedAt,
        stopped_by: stop.stoppedBy,
        reason: stop.reason,
      })
      .onConflict((conflict) => conflict.column("installation_id").doNothing())
      .execute();
  },
  async clear() {
    return fromRow(
      await db
        .deleteFrom("stop_switch")
        .where("installation_id", "=", installationId)
        .returningAll()
        .executeTakeFirst(),
    );
  },
});
