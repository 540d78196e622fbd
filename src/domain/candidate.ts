import type { IndexDefinition } from "./index-definition.ts";

/** Why a candidate exists. */
export interface CandidateOrigin {
  readonly statementId: string;
  /** `equality`, `equality+range`, `join`, `order`, `group`, `covering`, `merged`, `foreign-key`… */
  readonly rule: string;
}

export interface Candidate {
  /** `definitionId(definition)`. */
  readonly id: string;
  readonly definition: IndexDefinition;
  readonly origins: readonly CandidateOrigin[];
  /** False where the rollout cannot build it, so that it is only advised; absent where it can. */
  readonly buildable?: false;
  /** Why it is not buildable, for people. */
  readonly obstacle?: string;
}

/** An index that was thought of and will not be built. */
export interface DeclinedCandidate {
  readonly definition: IndexDefinition;
  /** A stable code, e.g. `exists`, `unbounded_width`, `no_gain`, `budget`, `redundant`. */
  readonly code: string;
  /** The same for people, with the numbers. */
  readonly reason: string;
  readonly statementIds: readonly string[];
  /** The OID of the existing index where what was declined is to drop it; absent for indexes to create. */
  readonly existing?: number;
}
