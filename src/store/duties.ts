import type { Database } from "./database.ts";

/** What is remembered of a scheduled duty. */
export interface DutyRecord {
  readonly name: string;
  readonly dueAt: Date;
  /** Of the last time; null where it never ran. */
  readonly endedAt: Date | null;
  /** `done`, or the code of what went wrong. */
  readonly outcome: string | null;
  /** In a row. */
  readonly failures: number;
}

export interface DutyRepository {
  list(): Promise<readonly DutyRecord[]>;
  save(duty: DutyRecord): Promise<void>;
}

export const dutyRepository = (db: Database, installationId: number): DutyRepository => ({
  async list() {
    const rows = await db.selectFrom("duty").selectAll().where("installation_id", "=", installationId).execute();
    return rows.map((row) => ({
      name: row.name,
      dueAt: row.due_at,
      endedAt: row.ended_at,
      outcome: row.outcome,
      failures: row.failures,
    }));
  },
  async save({ name, dueAt, endedAt, outcome, failures }) {
    const columns = { due_at: dueAt, ended_at: endedAt, outcome, failures };
    await db
      .insertInto("duty")
      .values({ installation_id: installationId, name, ...columns })
      .onConflict((conflict) => conflict.columns(["installation_id", "name"]).doUpdateSet(columns))
      .execute();
  },
});
