import type { Random } from "../runtime/index.ts";

/** What the driver can send: text, numbers, booleans, timestamps as ISO text. */
export type Parameter = string | number | boolean | null;

/** One kind of statement an application sends. */
export interface QueryShape {
  /** For people and for summaries, e.g. `orders of a customer`. */
  readonly name: string;
  /** With `$1`, `$2`… in place of values. */
  readonly sql: string;
  readonly kind: "read" | "write";
  /** Calls in every round of the mix. */
  readonly weight: number;
  /** Whether it is slow only because an index is missing. */
  readonly planted: boolean;
  /** Draws the values of one call. */
  readonly parameters: (random: Random) => readonly Parameter[];
}
