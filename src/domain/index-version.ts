import type { RecordedIndex } from "./deployment.ts";
import type { TableName } from "./index-definition.ts";

/** An index as the catalogue has it, as far as its history is concerned. */
export interface IndexFact extends RecordedIndex {
  readonly oid: number;
  readonly tableOid: number;
  readonly table: TableName;
  readonly schema: string;
  readonly name: string;
  /** By the pages that the last build, VACUUM or ANALYZE counted. */
  readonly sizeBytes: number;
  readonly valid: boolean;
}

/** `found`: it was there when we first looked. */
export type IndexChange = "found" | "created" | "changed" | "dropped";

/** One version of one index: as it was from then on; of a dropped one, as it had been. Numbers count from 1 within the series. */
export interface IndexVersion extends RecordedIndex {
  readonly number: number;
  /** When the change was noticed, not when it was made. */
  readonly at: Date;
  readonly change: IndexChange;
  readonly sizeBytes: number;
  /** `indexpilot`, or `others`: the catalogue does not tell who. */
  readonly actor: "indexpilot" | "others";
  readonly reason: string;
  readonly deploymentId: string | null;
}

/** The history of one index: what has this name on this table, also after it was rebuilt, or dropped and made again. */
export interface IndexSeries {
  readonly id: number;
  readonly tableOid: number;
  readonly table: TableName;
  readonly schema: string;
  readonly name: string;
  /** Null while there is no such index. */
  readonly indexOid: number | null;
  readonly latest: IndexVersion;
}
