import type { Block } from "../domain/index.ts";
import type { Store, StoredStatement } from "../store/index.ts";
import type { StatementsSnapshot } from "../workload/index.ts";

/** Major version of PostgreSQL whose parser made our fingerprints (libpg-query 18). */
const PARSER_MAJOR = 18;

/** Stores a block with the texts of the statements it counts. */
export const saveBlock = async (store: Store, block: Block, snapshot: StatementsSnapshot): Promise<void> => {
  const counted = new Map<string, StoredStatement>();
  for (const { id, text, queryId, scope, classification } of snapshot.rows) {
    if (id === null || text === null || classification.kind !== "statement" || !block.statements.has(id)) continue;
    const { fingerprint, verb } = classification;
    counted.set(id, { id, fingerprint, queryId, label: `${verb} ${fingerprint.slice(0, 8)}`, text, verb, scope });
  }
  await store.observations.saveBlock(block, [...counted.values()], PARSER_MAJOR);
};
