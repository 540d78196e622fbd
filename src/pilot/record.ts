import type { Block } from "../domain/index.ts";
import type { Store } from "../store/index.ts";
import type { StatementsSnapshot } from "../workload/index.ts";

/** Major version of PostgreSQL whose parser made our fingerprints (libpg-query 18). */
const PARSER_MAJOR = 18;

/** Stores a block with the texts of the statements it counts. */
export const saveBlock = (store: Store, block: Block, snapshot: StatementsSnapshot): Promise<string> =>
  store.observations.saveBlock(block, snapshot.statements, PARSER_MAJOR);
