/**
 * Why something was done or refused: enough to recompute it, without users' literals. Every act and every refusal
 * stores one; the command line and every later surface show the same record.
 */
export interface Decision {
  readonly at: Date;
  /** `advise`, `build`, `refuse`, `verify`, `roll back`… */
  readonly subject: string;
  /** The deployment it belongs to, if any. */
  readonly deploymentId: string | null;
  /** The rule that decided, e.g. `selection.greedy+swap`, `safeguards.storage_budget`. */
  readonly rule: string;
  readonly outcome: string;
  /** Stable machine-readable code. */
  readonly code: string;
  readonly reason: string;
  readonly inputs: Readonly<Record<string, unknown>>;
}
