import type { TableName } from "./index-definition.ts";
import type { Interval, Outcome } from "./verdict.ts";

/** `control` is what is compared with; the experiment asks whether `treatment` is better. */
export type ArmName = "control" | "treatment";

/** What one part of the traffic may use. */
export interface ExperimentArm {
  /** `create index …` of the index that this arm alone may use; null: the indexes that everybody has. */
  readonly definition: string | null;
}

/** What decides: the arithmetic mean of the time per call, or its 95th percentile. */
export type ExperimentMetric = "mean" | "p95";

/**
 * How traffic is split: `hash` draws each unit (a transaction, a request) by a hash of its id; `switchback` gives whole slices of time to one arm, where
 * there are too few connections to be drawn.
 */
export type ExperimentSplit = "hash" | "switchback";

export interface Experiment {
  /** UUID. */
  readonly id: string;
  readonly table: TableName;
  readonly tableOid: number;
  readonly control: ExperimentArm;
  readonly treatment: ExperimentArm;
  /** Share of the units that the treatment gets, between 0 and 1. */
  readonly treatmentShare: number;
  readonly split: ExperimentSplit;
  readonly metric: ExperimentMetric;
  /** Changes within ± this are as good as none. */
  readonly margin: number;
  /** Chance of ever naming a winner where there is none. */
  readonly alpha: number;
  /** Length of one window of evidence; with `switchback`, of a whole round of slices. */
  readonly blockMs: number;
  readonly maxMs: number;
  /** `stopped` by a person, or because its time is up. */
  readonly state: "running" | "decided" | "stopped";
  readonly createdAt: Date;
  readonly endedAt: Date | null;
  /** Who or what ended it; null while it runs. */
  readonly endReason: string | null;
  /** The last that was recorded; null before anybody looked. */
  readonly verdict: ExperimentVerdict | null;
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
  readonly soundBlocks: number;
  readonly voidBlocks: number;
  readonly reason: string;
}
