import type { AdaptiveThreshold } from "../domain/index.ts";
import type { Database } from "./database.ts";

/** Which limit follows the samples. */
export type ThresholdName = "load";

export interface ThresholdRepository {
  /** Null where nothing was ever recorded. */
  get(name: ThresholdName): Promise<AdaptiveThreshold | null>;
  save(name: ThresholdName, threshold: AdaptiveThreshold): Promise<void>;
}

export const thresholdRepository = (db: Database, installationId: number): ThresholdRepository => ({
  async get(name) {
    const row = await db
      .selectFrom("adaptive_threshold")
      .select(["samples", "sampled_at", "holding"])
      .where("installation_id", "=", installationId)
      .where("name", "=", name)
      .executeTakeFirst();
    return row === undefined ? null : { samples: row.samples, sampledAt: row.sampled_at, holding: row.holding };
  },
  async save(name, threshold) {
    const columns = {
      samples: [...threshold.samples],
      sampled_at: threshold.sampledAt,
      holding: threshold.holding,
    };
    await db
      .insertInto("adaptive_threshold")
      .values({ installation_id: installationId, name, ...columns })
      .onConflict((conflict) => conflict.columns(["installation_id", "name"]).doUpdateSet(columns))
      .execute();
  },
});
