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
}

/** An index that was thought of and will not be built. */
export interface DeclinedCandidate {
  readonly definition: IndexDefinition;
  /** A stable code, e.g. `exists`, `unbounded_width`, `no_gain`, `budget`, `redundant`. */
  readonly code: string;
  /** The same for people, with the numbers. */
  readonly reason: string;
  readonly statementIds: readonly string[];
}
