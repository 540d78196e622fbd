/** A decision or a step of a deployment, as it is told to the outside: names of objects, codes and reasons, no definitions, no values. */
export interface Notice {
  /** The same each time it is told. */
  readonly key: string;
  readonly at: Date;
  readonly kind: "decision" | "transition";
  /** `refuse`, `verify`, `advise`… of a decision; the event of a transition. */
  readonly subject: string;
  /** Of a decision; the new state of a transition. */
  readonly outcome: string;
  /** Machine-readable; of a transition its event. */
  readonly code: string;
  readonly reason: string;
  /** Who caused a transition; null for decisions. */
  readonly actor: string | null;
  readonly deployment: { readonly id: string; readonly index: string; readonly table: string } | null;
}
