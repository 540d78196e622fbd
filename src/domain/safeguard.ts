/** What the safeguards remember, so that a restart does not forget it. `safeguards/SPEC.md` says what it means. */

/** `closed` lets pass, `open` refuses, `half_open` lets one trial pass at a time. */
export type CircuitPhase = "closed" | "open" | "half_open";

/** A breaker of builds: one for each table, and one for the server. */
export interface CircuitBreaker {
  readonly phase: CircuitPhase;
  /** Failures in a row while closed. */
  readonly failures: number;
  /** Successful trials in a row while half open. */
  readonly successes: number;
  /** How often it has opened since it was last closed; each doubles the time. */
  readonly openings: number;
  /** When an open one lets the next trial pass. */
  readonly retryAt: Date | null;
  /** When the running trial began. */
  readonly trialSince: Date | null;
  /** Of the last failure: a SQLSTATE, or a word of ours. */
  readonly lastFailure: string | null;
}

/** A limit that follows what is usual. */
export interface AdaptiveThreshold {
  /** Demand, oldest first: what was asked for, allowed or not. */
  readonly samples: readonly number[];
  /** When the newest sample was begun. */
  readonly sampledAt: Date | null;
  /** Demand has crossed the limit and has not yet fallen far enough below it. */
  readonly holding: boolean;
}

/** Somebody stopped everything. Nothing is changed until somebody resumes. */
export interface StopSwitch {
  readonly stoppedAt: Date;
  readonly stoppedBy: string;
  readonly reason: string;
}
