import { createHash } from "node:crypto";
import type { ObservationScope } from "../domain/index.ts";

/**
 * `Statement.id`: the same in every snapshot, block and workload of a target. The fingerprint in the clear, for people, and a digest of role and search
 * path, for the same text means other tables under another path.
 */
export const statementId = (fingerprint: string, scope: ObservationScope): string => {
  const digest = createHash("sha256").update(JSON.stringify([scope.role, scope.searchPath]));
  return `${fingerprint}-${digest.digest("hex").slice(0, 8)}`;
};
