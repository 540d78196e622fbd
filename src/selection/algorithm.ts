import type { Room } from "./limits.ts";
import type { Chosen, Objective } from "./objective.ts";
import { portfolioWithSwaps } from "./portfolio.ts";

/** What an index must bring beside the others of its set to pass the gate. */
export interface Demand {
  /** The share by which it makes one statement cheaper, of those that all of them make cheap enough. */
  readonly gain: number;
  /** Weighted cost that it saves, upkeep not deducted. */
  readonly saving: number;
}

/** What an algorithm searches in. */
export interface SearchContext {
  readonly objective: Objective;
  /** Candidates that may be chosen: each fits alone and was used by some plan. */
  readonly allowed: Chosen;
  readonly room: Room;
  readonly demand: Demand;
  /** True when the bound on calls or time is reached, or the caller has cancelled: return the best set so far. */
  readonly exhausted: () => boolean;
  /** Milliseconds left; none when cancelled. */
  readonly remainingMs: () => number;
  readonly onImprovement: (cost: number) => void;
}

/** Finds a good set. It must be deterministic, and stay within capacity. */
export type SelectionAlgorithm = (context: SearchContext) => Promise<Chosen>;

/** The algorithms by the name under which a decision records them. */
export const selectionAlgorithms = {
  "portfolio+swap": portfolioWithSwaps,
} as const satisfies Readonly<Record<string, SelectionAlgorithm>>;
