import { formatSize } from "../config/index.ts";
import type { Decision } from "../domain/index.ts";
import { isBuild, type PermitRequest } from "./permits.ts";

/** A limit that a permitted act comes near. */
export interface Warning {
  readonly code: "storage_budget_near" | "table_budget_near" | "schema_budget_near" | "disk_near" | "indexes_near";
  readonly reason: string;
}

/** What a permitted build brings near its limit: somebody should know before the next one is refused. Pure. */
export const warningsOf = (request: PermitRequest): readonly Warning[] => {
  const { act, condition, addedBytes, freedBytes, databaseBytes, limits } = request;
  if (!isBuild(act)) return [];
  const added = (addedBytes ?? 0) - freedBytes;
  const near = (code: Warning["code"], what: string, bytes: number | null, limit: number | null): Warning[] => {
    if (bytes === null || limit === null || bytes + added < limit * limits.warnShare) return [];
    const share = (((bytes + added) / limit) * 100).toFixed(0);
    return [
      { code, reason: `with this one, ${what} ${formatSize(bytes + added)} of ${formatSize(limit)} (${share} %)` },
    ];
  };
  const indexes = (condition.indexesOnTable ?? 0) + (act.act === "create index" ? 1 : 0);
  return [
    ...near("storage_budget_near", "ours take", request.ownedBytes, limits.budgetBytes),
    ...near("table_budget_near", "ours on this table take", request.ownedBytesOnTable, limits.tableBudgetBytes),
    ...near(
      "schema_budget_near",
      `ours in schema ${act.table.schema} take`,
      request.ownedBytesInSchema,
      limits.schemaBudgetBytes,
    ),
    ...near("disk_near", "the databases take", databaseBytes, limits.diskCapacityBytes),
    ...(act.act === "create index" && indexes >= limits.indexesWarning && indexes <= limits.indexesPerTable
      ? [
          {
            code: "indexes_near" as const,
            reason: `with this one, the table has ${String(indexes)} indexes of at most ${String(limits.indexesPerTable)}: each costs every write`,
          },
        ]
      : []),
  ];
};

/** The record of one warning. */
export const warningDecision = ({ act, now, limits }: PermitRequest, { code, reason }: Warning): Decision => ({
  at: now,
  subject: "warn",
  deploymentId: act.deploymentId,
  rule: `safeguards.${code}`,
  outcome: "warned",
  code,
  reason,
  inputs: { limits },
});
