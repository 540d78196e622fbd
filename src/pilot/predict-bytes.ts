import { type IndexDefinition, tableId } from "../domain/index.ts";
import { readCatalog, type Session } from "../postgres/index.ts";
import { estimateIndexSize } from "../sizes/index.ts";

/**
 * Bytes of an index that a person named and no analysis has sized; of all rows, where it would hold a part of them. Null where the table is gone. Reads
 * catalogues only.
 */
export const predictBytes = async (session: Session, index: IndexDefinition): Promise<number | null> => {
  const { tables } = await readCatalog(session);
  const table = tables.find((one) => tableId(one) === tableId(index.table));
  return table === undefined ? null : estimateIndexSize(table, index, { rows: null, expressionTypes: [] }).bytes;
};
