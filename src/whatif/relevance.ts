import { type HypotheticalIndex, type TableAccess, tableId } from "../domain/index.ts";

/**
 * Whether a plan of a statement could use an index at all: the index is on a table the statement reads, and the statement names its leading
 * column (for a search, a sort or a join), or finds all the columns it reads in the index (for an index-only scan of the whole).
 * An access that is not known (`undefined`) may use everything.
 */
export const mayUse = (accesses: readonly TableAccess[] | undefined, { definition }: HypotheticalIndex): boolean => {
  if (accesses === undefined) return true;
  const leading = definition.keys[0]?.column;
  const columns = new Set([...definition.keys.map((key) => key.column), ...definition.include]);
  return accesses.some((access) => {
    if (tableId(access.table) !== tableId(definition.table)) return false;
    if (access.referenced === null || leading === undefined) return true;
    const named = [
      ...access.referenced,
      ...access.equality,
      ...access.range,
      ...access.join,
      ...access.order.map((key) => key.column),
      ...access.group,
    ];
    return named.includes(leading) || access.referenced.every((column) => columns.has(column));
  });
};
