/** How one target stands, for whoever asks. Changed by who steers it, read by everybody. */
export interface Standing {
  readonly target: string;
  readonly database: string;
  /** `resting`: something is wrong that trying again at once would not mend. */
  role: "connecting" | "standby" | "leader" | "resting" | "ended";
  /** Since when it has the role. */
  since: Date;
  /** Of the last sign of life of the loop, by the monotonic clock. */
  beatMs: number;
  /** What keeps it from working, by a code of the catalogue or a SQLSTATE; null where nothing does. */
  error: { readonly code: string; readonly message: string; readonly remedy: string | null } | null;
  /** What it is at. */
  duty: string | null;
  stopped: boolean;
  waitingForApproval: number;
  openVerdicts: number;
  untold: number;
  readonly duties: Map<string, { dueAt: Date; endedAt: Date | null; outcome: string | null; failures: number }>;
}

/** Time without a sign of life after which a loop is taken for dead: longer than any time-out of ours. */
const SILENT_MS = 120_000;

export const isAlive = ({ role, beatMs }: Standing, nowMs: number): boolean =>
  role === "ended" || nowMs - beatMs < SILENT_MS;

export const isReady = ({ role }: Standing): boolean => role === "leader" || role === "standby";
