import type { Block } from "../domain/index.ts";

/** What a verdict is made from. A statement may be in one of the three lists only; those in none are left out. */
export interface Evidence {
  /** Blocks of equal length, in order. Void ones may be among them; they are not used, only reported. */
  readonly before: readonly Block[];
  readonly after: readonly Block[];
  /** Statements that the index is meant for: those whose plan changed. */
  readonly affected: readonly string[];
  /** Statements that write the index's table, and so pay for it. */
  readonly writes: readonly string[];
  /** Statements that neither read nor write the table, and that nothing else was done for between the two periods: what changes in them is drift. */
  readonly control: readonly string[];
  /** OID of the index's table, whose counters tell the share of heap-only updates. */
  readonly table?: number;
  /** Chance of ever naming a winner although nothing changed, however often the growing evidence is judged. Default 0.05. */
  readonly alpha?: number;
  /** Changes within ± this are as good as none. Default 0.05, that is 5 %. */
  readonly margin?: number;
  /** A statement needs calls in this many sound blocks on each side. Default and least 5. */
  readonly minimumBlocks?: number;
}
