import { sql } from "kysely";
import type { Database } from "./database.ts";

/** Days each kind of row is kept; the tables' own comments say the same. Deployments and their history are kept for ever. */
const retentionDays = {
  /** Five weeks: month on month, with a week to spare. */
  block: 35,
  /** The evidence of an experiment, after it ended; its verdict is kept for ever. */
  experiment_window: 35,
  /** After it was last heard of. */
  experiment_follower: 1,
  /** After it was last seen. */
  statement: 90,
  /** A year and a bit, so that last year's decision can be looked up. */
  decision: 400,
  /** After the last scan of ours. */
  scan_ledger: 400,
  /** After its last change; a breaker that old guards nothing any more. */
  circuit_breaker: 400,
  /** A day more than an outage of the receiver is waited for. */
  notice: 8,
  /** One a day is kept as long; all of them for {@link fullSampleDays}. */
  index_sample: 400,
  index_forecast: 400,
} as const;

/** A month of history for forecasts, with some to spare. */
const fullSampleDays = 35;

export interface Retention {
  /** Removes what is past its time; answers how many rows of each kind went. */
  expire(now: Date): Promise<Readonly<Record<keyof typeof retentionDays, number>>>;
}

export const retention = (db: Database, installationId: number): Retention => ({
  async expire(now) {
    const before = (kind: keyof typeof retentionDays): Date =>
      new Date(now.getTime() - retentionDays[kind] * 86_400_000);
    const blocks = await db
      .deleteFrom("block")
      .where("installation_id", "=", installationId)
      .where("ended_at", "<", before("block"))
      .returning("id")
      .execute();
    const statements = await db
      .deleteFrom("statement")
      .where("last_seen", "<", before("statement"))
      .where("scope_id", "in", (scopes) =>
        scopes
          .selectFrom("observation_scope")
          .select("observation_scope.id")
          .where("installation_id", "=", installationId),
      )
      .where((on) =>
        on.not(
          on.exists(
            on
              .selectFrom("block_statement")
              .select("block_id")
              .whereRef("block_statement.scope_id", "=", "statement.scope_id")
              .whereRef("block_statement.statement_id", "=", "statement.id"),
          ),
        ),
      )
      .returning("id")
      .execute();
    const decisions = await db
      .deleteFrom("decision")
      .where("installation_id", "=", installationId)
      .where("at", "<", before("decision"))
      .returning("id")
      .execute();
    const ledger = await db
      .deleteFrom("scan_ledger")
      .where("installation_id", "=", installationId)
      .where("updated_at", "<", before("scan_ledger"))
      .returning("index_oid")
      .execute();
    const circuits = await db
      .deleteFrom("circuit_breaker")
      .where("installation_id", "=", installationId)
      .where("updated_at", "<", before("circuit_breaker"))
      .returning("scope")
      .execute();
    const notices = await db
      .deleteFrom("notice")
      .where("installation_id", "=", installationId)
      .where("at", "<", before("notice"))
      .returning("key")
      .execute();
    const samples = await db
      .deleteFrom("index_sample")
      .where("installation_id", "=", installationId)
      .where((on) =>
        on.or([
          on("at", "<", before("index_sample")),
          on.and([
            on("at", "<", new Date(now.getTime() - fullSampleDays * 86_400_000)),
            // The day's first stays.
            on.exists(
              on
                .selectFrom("index_sample as earlier")
                .select("earlier.at")
                .whereRef("earlier.installation_id", "=", "index_sample.installation_id")
                .whereRef("earlier.index_oid", "=", "index_sample.index_oid")
                .whereRef("earlier.file_node", "=", "index_sample.file_node")
                .whereRef("earlier.at", "<", "index_sample.at")
                .where(sql<boolean>`earlier.at >= date_trunc('day', index_sample.at, 'UTC')`),
            ),
          ]),
        ]),
      )
      .returning("index_oid")
      .execute();
    const forecasts = await db
      .deleteFrom("index_forecast")
      .where("installation_id", "=", installationId)
      .where("due_at", "<", before("index_forecast"))
      .returning("index_oid")
      .execute();
    const ended = db
      .selectFrom("experiment")
      .select("id")
      .where("installation_id", "=", installationId)
      .where("ended_at", "<", before("experiment_window"));
    const windows = await db
      .deleteFrom("experiment_window")
      .where("experiment_id", "in", ended)
      .returning("slot")
      .execute();
    await db.deleteFrom("experiment_void").where("experiment_id", "in", ended).execute();
    // By the server's clock, which is that of the column.
    const followers = await db
      .deleteFrom("experiment_follower")
      .where("installation_id", "=", installationId)
      .where(sql<boolean>`seen_at < clock_timestamp() - make_interval(days => ${retentionDays.experiment_follower})`)
      .returning("process")
      .execute();
    return {
      experiment_window: windows.length,
      experiment_follower: followers.length,
      block: blocks.length,
      statement: statements.length,
      decision: decisions.length,
      scan_ledger: ledger.length,
      circuit_breaker: circuits.length,
      notice: notices.length,
      index_sample: samples.length,
      index_forecast: forecasts.length,
    };
  },
});
