import type { Deployment, DeploymentRationale, IndexDefinition } from "../domain/index.ts";
import { renderCreateIndex } from "../postgres/index.ts";
import { readableName, temporaryName } from "./names.ts";

interface Proposal {
  /** A fresh UUID. */
  readonly id: string;
  readonly definition: IndexDefinition;
  readonly tableOid: number;
  readonly predictedBytes: number | null;
  readonly rationale: DeploymentRationale;
  readonly now: Date;
}

/** A deployment that creates an index, before anybody approved it. Store it with `store.deployments.insert`. */
export const proposeIndex = (proposal: Proposal): Deployment => {
  const indexName = readableName(proposal.definition);
  return {
    id: proposal.id,
    kind: "create",
    state: "proposed",
    table: proposal.definition.table,
    tableOid: proposal.tableOid,
    definition: renderCreateIndex(proposal.definition, indexName, { concurrently: false }),
    intended: proposal.definition,
    temporaryName: temporaryName(proposal.id),
    indexName,
    indexOid: null,
    backend: null,
    sizeBytes: null,
    predictedBytes: proposal.predictedBytes,
    buildMs: null,
    verdict: null,
    rationale: proposal.rationale,
    createdAt: proposal.now,
    updatedAt: proposal.now,
  };
};
