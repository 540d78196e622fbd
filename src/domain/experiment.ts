import type { IndexDefinition, TableName } from "./index-definition.ts";
import type { EvidencePlan } from "./deployment.ts";
import type { Interval, Outcome, WriteVerdict } from "./verdict.ts";

/** `control` is what is compared with; the experiment asks whether `treatment` is better. */
export const armNames = ["control", "treatment"] as const;

export type ArmName = (typeof armNames)[number];

/** What one part of the traffic may use. */
export interface ExperimentArm {
  /** The index that this arm alone may use; null: the indexes that everybody has. */
  readonly index: IndexDefinition | null;
  /** The deployment that will build it for everybody, should the arm win: approved, and waiting. Null where there is no index. */
  readonly deploymentId: string | null;
  /** The deployment that builds it behind the arm's gate, and the column that the gate asks for. Null where there is no index. */
  readonly gate: {
    readonly deploymentId: string;
    readonly column: string;
    /** Where tenants are split and not transactions: the index on trial holds the rows up to this value. */
    readonly upTo?: string;
  } | null;
}

/** What decides: the arithmetic mean of the time per call, or its 95th percentile. */
export type ExperimentMetric = "mean" | "p95";

/**
 * What is drawn for an arm, by a hash: each transaction (or request), or whole slices of time, where a statement's arm must not change so often. Sessions
 * are not: those of a pool are too few, and each differs from the others for good.
 */
export type ExperimentUnit = "transaction" | "slice";

/** See `verification/SPEC.md`. */
export type ExperimentState = "preparing" | "running" | "applying" | "removing" | "decided" | "stopped";

export interface Experiment {
  /** UUID. */
  readonly id: string;
  /** From 1, unique in the store: short enough to be written into every statement. */
  readonly number: number;
  /** `canary`: a new index against none, stage by stage; `comparison`: two ways to index a table, side by side. */
  readonly kind: "canary" | "comparison";
  /** `gate`: a share of the units states the index's condition; `tenant`: the index holds the rows of some tenants only. */
  readonly exposure: "gate" | "tenant";
  readonly table: TableName;
  readonly tableOid: number;
  readonly control: ExperimentArm;
  readonly treatment: ExperimentArm;
  /** Shares of the units that the treatment gets, one stage after the other, each above 0 and up to 1. */
  readonly stages: readonly number[];
  /** Which of them it is at. */
  readonly stage: number;
  /** When that stage, or that state, began. */
  readonly stageAt: Date;
  readonly unit: ExperimentUnit;
  readonly metric: ExperimentMetric;
  /** Changes within ± this are as good as none. */
  readonly margin: number;
  /** Chance of ever naming a winner where there is none. */
  readonly alpha: number;
  /** Length of one window of evidence. */
  readonly blockMs: number;
  /** Of the stages together. */
  readonly maxMs: number;
  readonly state: ExperimentState;
  /** Who wanted it. */
  readonly actor: string;
  /** What writes are judged by, before and after the gated index was built; null where nothing was observed before. */
  readonly evidence: EvidencePlan | null;
  /** Fingerprints of the statements that decide: those whose plan uses an arm's index. Null: nobody could ask, and all that read the table decide. */
  readonly deciding: readonly string[] | null;
  /** The arm whose index everybody gets; null while that is open, and where it is none. */
  readonly winner: ArmName | null;
  readonly createdAt: Date;
  readonly endedAt: Date | null;
  /** Why it was decided or stopped; null while that is open. */
  readonly endReason: string | null;
  /** The one it was decided by; null before. */
  readonly verdict: ExperimentVerdict | null;
}

/** Share of the units that the treatment gets now. */
export const shareOf = ({ stages, stage }: Pick<Experiment, "stages" | "stage">): number => stages[stage] ?? 0;

/** The number of an arm's gate: the two of one experiment differ, and those of other experiments from both. */
export const gateNumber = ({ number }: Pick<Experiment, "number">, arm: ArmName): number =>
  number * 2 + (arm === "control" ? 1 : 0);

/** A process of the application that follows experiments, and how it stands to each. */
export interface Follower {
  /** UUID of the process. */
  readonly process: string;
  readonly application: string;
  /** Milliseconds since it was heard of, by the server's clock. */
  readonly silentMs: number;
  /** By id. */
  readonly stands: Readonly<Record<string, FollowerStand>>;
}

export interface FollowerStand {
  /** Share of its units that it draws for the treatment; 0 where it does not state any gate. */
  readonly share: number;
  /** Why it cannot take part; null where it can. */
  readonly objection: string | null;
}

/** What arms are compared on: another state of the server, or other indexes on the table, and what was seen meanwhile proves nothing. */
export interface ExperimentGround {
  readonly serverStartedAt: string;
  /** When `pg_stat_statements` was last reset; null where it is not there. */
  readonly statisticsResetAt: string | null;
  /** OID and definition of each valid index of the table, in order. */
  readonly indexes: readonly string[];
}

/** One statement that ran in an arm, as the driver hook saw it. */
export interface ArmCall {
  readonly arm: ArmName;
  /** libpg_query's; null for what was not read: it counts for the unit only. */
  readonly fingerprint: string | null;
  /** What was drawn: the request or session, or the connection whose {@link transaction} it was; null for a slice of time, which all processes share. */
  readonly unit: string | null;
  /** Which transaction of the unit, where each is drawn for itself: no name has to be made for every statement. */
  readonly transaction?: number | null;
  /** Share of the units that the treatment got when it was drawn. */
  readonly share: number;
  readonly at: Date;
  readonly timeMs: number;
  readonly rows: number | null;
  readonly failed: boolean;
}

/** What one arm did in one window. */
export interface ArmWindow {
  readonly arm: ArmName;
  /** Number of the window: its start is `slot · blockMs` after the epoch. */
  readonly slot: number;
  /** Share of the units that the treatment got; null where that changed within the window. */
  readonly share: number | null;
  readonly units: number;
  readonly failedUnits: number;
  readonly statements: ReadonlyMap<string, ArmCounters>;
}

export interface ArmCounters {
  readonly calls: number;
  readonly totalMs: number;
  readonly rows: number;
  /** Calls by the number of their bucket of time. */
  readonly latencies: ReadonlyMap<number, number>;
}

/** A stretch of an experiment that proves nothing. */
export interface VoidStretch {
  readonly from: Date;
  readonly to: Date;
  readonly reason: string;
}

/** One statement in both arms. */
export interface ArmComparison {
  /** The statement's fingerprint. */
  readonly statementId: string;
  readonly outcome: Outcome;
  /** Arithmetic mean per call, ms; null without calls. */
  readonly controlMs: number | null;
  readonly treatmentMs: number | null;
  readonly controlCalls: number;
  readonly treatmentCalls: number;
  /** Of the treatment against the control; −0.5 is half the time. */
  readonly change: number | null;
  readonly interval: Interval | null;
}

/** What the two arms say so far. */
export interface ExperimentVerdict {
  /** Of the treatment against the control. */
  readonly outcome: Outcome;
  /** Relative change of the metric; null while nothing can be said. */
  readonly change: number | null;
  readonly interval: Interval | null;
  /** Change of the pages read per call, where the server counted them. */
  readonly pages: { readonly change: number; readonly interval: Interval | null } | null;
  /** Difference of the shares of units with an error, as a fraction: 0.001 is 0.1 points. Null where units were not counted. */
  readonly errors: { readonly difference: number; readonly interval: Interval; readonly outcome: Outcome } | null;
  /** Units in each arm, and an anytime-valid p-value of the promised split; null where units were not counted. */
  readonly units: { readonly control: number; readonly treatment: number; readonly splitPValue: number } | null;
  readonly statements: readonly ArmComparison[];
  /** What everybody's writes pay, before and after; null where that is not known, absent before it is decided. */
  readonly writes?: WriteVerdict | null;
  readonly soundBlocks: number;
  readonly voidBlocks: number;
  readonly reason: string;
}
