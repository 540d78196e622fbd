import type { CircuitBreaker } from "../domain/index.ts";
import type { Database } from "./database.ts";

/** What a breaker stands before: all builds, or those on one table (by OID). */
export type CircuitScope = "server" | { readonly tableOid: number };

/** One row, as a person finds it. */
const nameOf = (scope: CircuitScope): string => (scope === "server" ? "server" : `table ${String(scope.tableOid)}`);

export interface CircuitRepository {
  /** Null where nothing was ever recorded. */
  get(scope: CircuitScope): Promise<CircuitBreaker | null>;
  save(scope: CircuitScope, breaker: CircuitBreaker, at: Date): Promise<void>;
}

export const circuitRepository = (db: Database, installationId: number): CircuitRepository => ({
  async get(scope) {
    const row = await db
      .selectFrom("circuit_breaker")
      .selectAll()
      .where("installation_id", "=", installationId)
      .where("scope", "=", nameOf(scope))
      .executeTakeFirst();
    if (row === undefined) return null;
    const { phase, failures, successes, openings } = row;
    return {
      phase,
      failures,
      successes,
      openings,
      retryAt: row.retry_at,
      trialSince: row.trial_since,
      lastFailure: row.last_failure,
    };
  },
  async save(scope, breaker, at) {
    const { phase, failures, successes, openings } = breaker;
    const columns = {
      phase,
      failures,
      successes,
      openings,
      retry_at: breaker.retryAt,
      trial_since: breaker.trialSince,
      last_failure: breaker.lastFailure,
      updated_at: at,
    };
    await db
      .insertInto("circuit_breaker")
      .values({ installation_id: installationId, scope: nameOf(scope), ...columns })
      .onConflict((conflict) => conflict.columns(["installation_id", "scope"]).doUpdateSet(columns))
      .execute();
  },
});
