import type { Deployment, TableName } from "../domain/index.ts";

/** An index that was rebuilt: what was foretold, and what came. */
export interface RebuiltIndex {
  readonly index: string;
  readonly table: TableName;
  readonly at: Date;
  readonly bytesBefore: number;
  /** Null where nothing was foretold: a person wanted it built anew whatever. */
  readonly bytesPredicted: number | null;
  readonly bytesAfter: number;
  /** (predicted − after) ÷ after; null where nothing was foretold. */
  readonly predictionError: number | null;
}

/** Null where a deployment is no rebuild, or not done. */
export const rebuiltOf = (deployment: Deployment): RebuiltIndex | null => {
  const { kind, state, replaces, sizeBytes, predictedBytes, rationale, indexName: index, table } = deployment;
  if (kind !== "reindex" || state !== "done" || replaces === null || sizeBytes === null) return null;
  const bytesPredicted = rationale.bloat === undefined ? null : predictedBytes;
  return {
    index,
    table,
    at: deployment.updatedAt,
    bytesBefore: replaces.sizeBytes,
    bytesPredicted,
    bytesAfter: sizeBytes,
    predictionError: bytesPredicted === null || sizeBytes === 0 ? null : (bytesPredicted - sizeBytes) / sizeBytes,
  };
};
