import type { IndexDefinition, TableName } from "./index-definition.ts";
import type { Verdict } from "./verdict.ts";

/** See `rollout/SPEC.md` for what each state means and which transitions there are. */
export type DeploymentState =
  | "proposed"
  | "approved"
  | "building"
  | "verifying"
  | "promoting"
  | "settled"
  | "retiring"
  | "trying"
  | "dropping"
  | "done"
  | "rolling_back"
  | "rolled_back"
  | "failed"
  | "declined";

/**
 * What a deployment is for. `create` builds an index of ours, `drop` removes one of ours, `replace` builds one beside another and lets it take that one's
 * name, `reindex` builds one anew as it is.
 */
export type DeploymentKind = "create" | "drop" | "replace" | "reindex";

/** An index in the server's own words: what the history keeps, and what can be built again from it. */
export interface RecordedIndex {
  /** `pg_get_indexdef`. */
  readonly definition: string;
  /** `pg_get_constraintdef` of the constraint it belongs to, which has the index's name. */
  readonly constraint: string | null;
  /** Null: the database's own. */
  readonly tablespace: string | null;
}

/** The index that a deployment replaces or rebuilds, as it was when that was decided. */
export interface ReplacedIndex extends RecordedIndex {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly sizeBytes: number;
  readonly comment: string | null;
  readonly constraintComment: string | null;
  /** The deployment of ours it stands for; null: it is not ours, and what takes its place is not either. */
  readonly deploymentId: string | null;
}

export interface Deployment {
  /** UUID. The index's comment is `indexpilot:<id>`. */
  readonly id: string;
  readonly kind: DeploymentKind;
  readonly state: DeploymentState;
  readonly table: TableName;
  readonly tableOid: number;
  /** `CREATE INDEX …` without CONCURRENTLY, with the final name, as `pg_get_indexdef` would write it where known. */
  readonly definition: string;
  /** What the index shall be, where it was advised; the catalogue is compared with it before anything is called built. */
  readonly intended: IndexDefinition | null;
  /** The same, where it comes from the history of indexes. A reindex has neither: what is there is what is wanted. */
  readonly recorded: RecordedIndex | null;
  /** Null for `create` and `drop`. */
  readonly replaces: ReplacedIndex | null;
  /** Unique name the build uses; the index is renamed once it is verified. */
  readonly temporaryName: string;
  readonly indexName: string;
  readonly indexOid: number | null;
  /** The build's backend, so that a later process can find it: pid and `pg_stat_activity.backend_start`. */
  readonly backend: { readonly pid: number; readonly startedAt: string } | null;
  readonly sizeBytes: number | null;
  readonly predictedBytes: number | null;
  readonly buildMs: number | null;
  readonly verdict: Verdict | null;
  /** What the decision was made from: statements served, costs, rule. */
  readonly rationale: DeploymentRationale;
  /** The deployment on a partitioned table that this one, on one of its partitions, is a part of; absent: it is none. */
  readonly partOf?: string;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

/** Which statements a deployment is expected to change, and by how much (planner cost, weighted). */
export interface DeploymentRationale {
  readonly statementIds: readonly string[];
  readonly costBefore: number | null;
  readonly costAfter: number | null;
  readonly reason: string;
  /** What a look at all indexes found it for; absent: it comes from an analysis of the workload, or a person asked for it. */
  readonly finding?: Finding;
  /** What building and keeping it is expected to cost; absent where nothing was estimated. */
  readonly prediction?: CostPrediction;
  /** How far the analysis believes its own gain; absent where nobody asked. */
  readonly confidence?: Confidence;
  /** What its time before and after the build will be compared by. */
  readonly comparison?: Comparison;
  /** Which share of an index was bloat when its rebuild was decided, so that `predictedBytes` is what was foretold of it; absent: nobody asked. */
  readonly bloat?: number;
  /** What a verdict will be made from; absent where nothing was observed before the build, so that none can be. */
  readonly evidence?: EvidencePlan;
}

/**
 * An index that is not scanned, that another one covers, or that somebody's failed build has left (to be dropped); a foreign key that no index serves (to be
 * created).
 */
export type Finding = "unused" | "redundant" | "invalid" | "foreign_key";

export interface CostPrediction {
  readonly buildMs: number;
  /** What it adds to the time that writes of its table take, as a share of that; null where none were measured. */
  readonly writeOverhead: number | null;
  /** How many milliseconds its statements save for each that writes pay for it; null where that is not known. */
  readonly savedPerPaid: number | null;
}

/** How far a prediction is believed. `unknown`: it could not be compared with anything. */
export type Confidence = "high" | "low" | "unknown";

export interface Comparison {
  /** Statements that write the table and so pay for the index. */
  readonly writeIds: readonly string[];
  /** Statements on none of the tables that change: what happens to them is drift. */
  readonly controlIds: readonly string[];
}

/** Laid down before the build, so that nobody can choose the evidence afterwards. */
export interface EvidencePlan extends Comparison {
  /** ISO times between which the blocks before the build were observed. */
  readonly baselineFrom: string;
  readonly baselineTo: string;
}

/** A rebuild that was begun. */
export interface BegunRebuild {
  readonly deploymentId: string;
  readonly at: Date;
  /** Of the index before it. */
  readonly sizeBytes: number;
}

/** One transition; the history is the list of them. */
export interface DeploymentEvent {
  readonly deploymentId: string;
  readonly at: Date;
  readonly from: DeploymentState | null;
  readonly to: DeploymentState;
  readonly event: string;
  readonly actor: string;
  readonly detail: Readonly<Record<string, unknown>>;
}
