import type { IndexKey, SortColumn } from "../domain/index.ts";

const flip = (key: IndexKey): IndexKey => ({
  ...key,
  direction: key.direction === "asc" ? "desc" : "asc",
  nulls: key.nulls === "first" ? "last" : "first",
});

/** The same order read backwards, which a B-tree scan can do at the same cost. */
const reversed = (keys: readonly IndexKey[]): IndexKey[] => keys.map(flip);

/** Sort columns as index keys, of the two equal forms the one whose first key ascends. */
export const sortKeys = (order: readonly SortColumn[]): IndexKey[] => {
  const keys = order.map(({ column, direction, nulls }) => ({ column, direction, nulls }));
  return keys[0]?.direction === "desc" ? reversed(keys) : keys;
};

const sameKey = (a: IndexKey, b: IndexKey): boolean =>
  (a.expression ?? a.column) === (b.expression ?? b.column) &&
  a.opclass === b.opclass &&
  a.direction === b.direction &&
  a.nulls === b.nulls;

/** Whether `keys` are the first keys of `longer`, read in either direction. */
export const isPrefixOf = (keys: readonly IndexKey[], longer: readonly IndexKey[]): boolean => {
  const begins = (wanted: readonly IndexKey[]): boolean =>
    wanted.length <= longer.length &&
    wanted.every((key, position) => {
      const other = longer[position];
      return other !== undefined && sameKey(key, other);
    });
  return begins(keys) || begins(reversed(keys));
};
