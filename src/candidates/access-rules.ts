import { ascending, type Column, type IndexKey, type TableAccess } from "../domain/index.ts";
import { sortKeys } from "./key-order.ts";

/** Index keys that could serve one access, with the name of the rule that made them. */
export interface KeyDraft {
  readonly keys: readonly IndexKey[];
  readonly rule: string;
  /** How many leading keys are compared with `=`, so that their order among themselves is free. */
  readonly equalities: number;
}

/** The estimated number of different values; PostgreSQL's own default (200) where nothing is known. */
export const distinctValues = (column: Column, tuples: number): number => {
  const distinct = (column.statistics ?? column.inheritedStatistics)?.distinct ?? 0;
  if (distinct > 0) return distinct;
  return distinct < 0 ? -distinct * Math.max(tuples, 1) : 200;
};

/**
 * The classical key orders (what a B-tree can use): equality columns first, most selective first, then one range or the sort order; join columns
 * count as equalities inside a nested loop. `usable` tells which columns may be keys at all.
 */
export const draftKeys = (
  access: TableAccess,
  usable: (column: string) => boolean,
  distinct: (column: string) => number,
  maxColumns: number,
): KeyDraft[] => {
  const drafts: KeyDraft[] = [];
  const bySelectivity = (columns: readonly string[]): string[] =>
    [...new Set(columns)].filter(usable).toSorted((a, b) => distinct(b) - distinct(a) || (a < b ? -1 : 1));
  const draft = (rule: string, equalities: readonly string[], rest: readonly IndexKey[] = []): void => {
    const leading = equalities.slice(0, rest.length > 0 ? maxColumns - 1 : maxColumns);
    const keys = [...leading.map(ascending), ...rest].slice(0, maxColumns);
    if (keys.length > 0) drafts.push({ keys, rule, equalities: leading.length });
  };

  const equality = bySelectivity(access.equality);
  const join = bySelectivity(access.join).filter((column) => !equality.includes(column));
  const range = bySelectivity(access.range).filter((column) => !equality.includes(column));
  const order = leadingUsable(access.order, (key) => key.column, usable, equality);
  const group = leadingUsable(access.group, (column) => column, usable, equality);

  for (const column of equality) draft("equality", [column]);
  for (const column of range) draft("range", [], [ascending(column)]);
  for (const column of join) draft("join", [column]);
  for (let length = 2; length <= equality.length; length += 1) draft("equality", equality.slice(0, length));

  const lookups: readonly (readonly string[])[] = [
    equality,
    ...join.flatMap((column) => [
      [column],
      ...(equality.length > 0
        ? [
            [column, ...equality],
            [...equality, column],
          ]
        : []),
    ]),
  ];
  for (const lookup of lookups) {
    const isJoin = lookup.some((column) => join.includes(column));
    const prefix = isJoin ? (lookup.length > 1 ? "equality+join" : "join") : "equality";
    if (lookup.length > 1) draft(prefix, lookup);
    const name = (rest: string): string => (lookup.length > 0 ? `${prefix}+${rest}` : rest);
    for (const column of range) if (!lookup.includes(column)) draft(name("range"), lookup, [ascending(column)]);
    const sort = order.filter((key) => !lookup.includes(key.column));
    // A join delivers its rows in the order of the outer side, so a sort behind join columns helps only a limited inner side.
    if (sort.length > 0 && (!isJoin || access.limited)) draft(name("order"), lookup, sortKeys(sort));
    const groups = group.filter((column) => !lookup.includes(column));
    if (groups.length > 0 && !isJoin) draft(name("group"), lookup, groups.map(ascending));
  }
  // Rows of several values, or without one, come one value after the other and not in the order that is asked for.
  const fixed = equality.filter((column) => !isManyValued(access, column));
  if (fixed.length < equality.length && (fixed.length > 0 || access.limited)) {
    const sort = leadingUsable(access.order, (key) => key.column, usable, fixed);
    if (sort.length > 0) draft(fixed.length > 0 ? "equality+order" : "order", fixed, sortKeys(sort));
  }
  for (const first of join) {
    for (const second of join) if (first !== second) draft("join", [first, second]);
  }
  if (join.length > 2) draft("join", join);
  return drafts;
};

/** Whether IN or IS NULL is all that is asked of a column: the planner takes neither for one value that an index keeps the order behind. */
const isManyValued = ({ conditions = [] }: TableAccess, column: string): boolean => {
  const operators = conditions.flatMap(({ subject, operator }) =>
    subject.kind === "column" && subject.column === column ? [operator] : [],
  );
  return operators.some((one) => one === "in" || one === "is null") && !operators.includes("=");
};

/** Every two columns by which rows are found, joined, sorted or grouped, in either order: a pair serves more statements than what is best for one. */
export const draftPairs = (access: TableAccess, usable: (column: string) => boolean): KeyDraft[] => {
  const order = access.order.map((key) => key.column);
  const names = [...access.equality, ...access.join, ...access.range, ...order, ...access.group];
  const sought = [...new Set(names)].filter(usable);
  return sought.flatMap((first) =>
    sought
      .filter((second) => second !== first)
      .map((second) => ({ keys: [ascending(first), ascending(second)], rule: "pair", equalities: 0 })),
  );
};

/** The same look-ups with the tenant's column first: one tenant's rows lie together, and every statement of the tenant can share the index. */
export const tenantFirst = (drafts: readonly KeyDraft[], tenants: ReadonlySet<string>): KeyDraft[] =>
  drafts.flatMap((draft) => {
    const position = draft.keys.findIndex((key, i) => i < draft.equalities && tenants.has(key.column));
    const tenant = draft.keys[position];
    if (tenant === undefined || position === 0) return [];
    return [{ ...draft, rule: "tenant", keys: [tenant, ...draft.keys.filter((key) => key !== tenant)] }];
  });

// An order is of use up to its first column that cannot be a key; columns fixed by equality do not take part in it.
const leadingUsable = <T>(
  list: readonly T[],
  columnOf: (item: T) => string,
  usable: (column: string) => boolean,
  fixed: readonly string[],
): T[] => {
  const open = list.filter((item) => !fixed.includes(columnOf(item)));
  const end = open.findIndex((item) => !usable(columnOf(item)));
  const seen = new Set<string>();
  return (end === -1 ? open : open.slice(0, end)).filter((item) => {
    const isNew = !seen.has(columnOf(item));
    seen.add(columnOf(item));
    return isNew;
  });
};
