import type { Decision } from "../domain/index.ts";
import type { Database } from "./database.ts";

export interface DecisionRepository {
  record(decision: Decision): Promise<void>;
  /** Newest first. */
  list(filter?: { readonly deploymentId?: string; readonly limit?: number }): Promise<readonly Decision[]>;
}

export const decisionRepository = (db: Database, installationId: number): DecisionRepository => ({
  async record(decision) {
    await db
      .insertInto("decision")
      .values({
        installation_id: installationId,
        at: decision.at,
        subject: decision.subject,
        deployment_id: decision.deploymentId,
        rule: decision.rule,
        outcome: decision.outcome,
        code: decision.code,
        reason: decision.reason,
        inputs: JSON.stringify(decision.inputs),
      })
      .execute();
  },
  async list(filter = {}) {
    let query = db.selectFrom("decision").selectAll().where("installation_id", "=", installationId);
    if (filter.deploymentId !== undefined) query = query.where("deployment_id", "=", filter.deploymentId);
    if (filter.limit !== undefined) query = query.limit(filter.limit);
    const rows = await query.orderBy("id", "desc").execute();
    return rows.map((row) => ({
      at: row.at,
      subject: row.subject,
      deploymentId: row.deployment_id,
      rule: row.rule,
      outcome: row.outcome,
      code: row.code,
      reason: row.reason,
      inputs: row.inputs,
    }));
  },
});
