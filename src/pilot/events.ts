/** What the pilot tells while it works. Surfaces show it; nothing else depends on it. */
export type PilotEvent =
  /** A phase began. */
  | { readonly kind: "step"; readonly text: string }
  /** Something worth a line of its own. */
  | { readonly kind: "note"; readonly text: string }
  /** Where the running phase is: a share between 0 and 1, or null when the end is not known. */
  | { readonly kind: "progress"; readonly text: string; readonly share: number | null };

export type Emit = (event: PilotEvent) => void;

/** Who acts where nobody is at the terminal, as the history names it. */
export const AUTOPILOT = "indexpilot";
