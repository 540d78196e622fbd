import type {
  Deployment,
  DeploymentKind,
  DeploymentRationale,
  IndexDefinition,
  RecordedIndex,
  ReplacedIndex,
  TableName,
} from "../domain/index.ts";
import { renderCreateIndex } from "../postgres/index.ts";
import { readableName, temporaryName } from "./names.ts";
import type { StandingIndex } from "./standing.ts";

interface Intention {
  /** A fresh UUID. */
  readonly id: string;
  readonly tableOid: number;
  /** Null where nothing is known about it. */
  readonly predictedBytes: number | null;
  readonly rationale: DeploymentRationale;
  readonly now: Date;
}

type Shape = Pick<Deployment, "table" | "definition" | "intended" | "recorded" | "replaces" | "indexName">;

const proposed = (kind: DeploymentKind, intention: Intention, shape: Shape): Deployment => ({
  id: intention.id,
  kind,
  state: "proposed",
  tableOid: intention.tableOid,
  ...shape,
  temporaryName: temporaryName(intention.id),
  indexOid: null,
  backend: null,
  sizeBytes: null,
  predictedBytes: intention.predictedBytes,
  buildMs: null,
  verdict: null,
  rationale: intention.rationale,
  createdAt: intention.now,
  updatedAt: intention.now,
});

interface Proposal extends Intention {
  readonly definition: IndexDefinition;
}

/** A deployment that creates an index, before anybody approved it. Store it with `store.deployments.insert`. */
export const proposeIndex = (proposal: Proposal): Deployment => {
  const indexName = readableName(proposal.definition);
  return proposed("create", proposal, {
    table: proposal.definition.table,
    definition: renderCreateIndex(proposal.definition, indexName, { concurrently: false }),
    intended: proposal.definition,
    recorded: null,
    replaces: null,
    indexName,
  });
};

interface RecordedProposal extends Intention {
  readonly table: TableName;
  readonly name: string;
  readonly recorded: RecordedIndex;
}

/** A deployment that builds an index that is gone, as it once was. */
export const proposeRecorded = (proposal: RecordedProposal): Deployment => {
  const { table, name, recorded } = proposal;
  const { definition } = recorded;
  return proposed("create", proposal, { table, definition, intended: null, recorded, replaces: null, indexName: name });
};

interface Replacement extends Intention {
  /** As {@link objectionToReplace} has nothing against. */
  readonly standing: StandingIndex;
  /** The deployment of ours that the standing index belongs to; null: it is not ours. */
  readonly deploymentId: string | null;
  readonly recorded: RecordedIndex;
}

const replacedBy = ({ standing, deploymentId }: Pick<Replacement, "standing" | "deploymentId">): ReplacedIndex => ({
  oid: standing.oid,
  schema: standing.schema,
  name: standing.name,
  definition: standing.definition,
  constraint: standing.constraint,
  tablespace: standing.tablespace,
  sizeBytes: standing.sizeBytes,
  comment: standing.comment,
  constraintComment: standing.constraintComment,
  deploymentId,
});

/** A deployment that lets another index take the place and the name of one that stands. */
export const proposeReplacement = (replacement: Replacement): Deployment => {
  const { standing, recorded } = replacement;
  return proposed("replace", replacement, {
    table: standing.table,
    definition: recorded.definition,
    intended: null,
    recorded,
    replaces: replacedBy(replacement),
    indexName: standing.name,
  });
};

/** A deployment that builds an index anew, as it is. */
export const proposeReindex = (intention: Omit<Replacement, "recorded">): Deployment =>
  proposed("reindex", intention, {
    table: intention.standing.table,
    definition: intention.standing.definition,
    intended: null,
    recorded: null,
    replaces: replacedBy(intention),
    indexName: intention.standing.name,
  });
