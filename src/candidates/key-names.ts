import { ascending, type Catalog, type Column, type IndexKey, type Table, type TableAccess } from "../domain/index.ts";
import { readExpression, type UnfitExpression } from "./expression.ts";
import { isText, keyOf, patternOf } from "./other-methods.ts";

/**
 * An access in which expressions and columns under another operator class have names of their own, so that the rules for B-tree keys need to know of
 * columns only. `keys` says what each such name stands for.
 */
export interface NamedAccess {
  readonly access: TableAccess;
  readonly keys: ReadonlyMap<string, NamedKey>;
  /** Expressions that are searched for and may not be keys. */
  readonly unfit: readonly UnfitExpression[];
}

export interface NamedKey {
  readonly key: IndexKey;
  /** For width and number of values, like a column of that type. */
  readonly column: Column;
}

const comparisons = new Set(["<", "<=", ">", ">=", "between"]);

/** Only a comparison byte by byte agrees with LIKE: collation C, or `text_pattern_ops`. */
const sortsByBytes = (collation: string | null, catalog: Catalog): boolean => {
  const name =
    collation === null || collation === "default" || collation.endsWith(".default") ? catalog.collate : collation;
  const isLibc = collation !== "default" || catalog.localeProvider === undefined;
  return isLibc && /(^|\.)"?(C|POSIX)"?$/.test(name);
};

const patternClass: Readonly<Record<string, string>> = {
  text: "text_pattern_ops",
  varchar: "varchar_pattern_ops",
  bpchar: "bpchar_pattern_ops",
};

export const nameKeys = (table: Table, access: TableAccess, catalog: Catalog): NamedAccess => {
  const keys = new Map<string, NamedKey>();
  const unfit: UnfitExpression[] = [];
  const added = { equality: [...access.equality], range: [...access.range], join: [...access.join] };
  for (const { subject, operator, operands, joined } of access.conditions ?? []) {
    const isEquality = operator === "=" || operator === "in";
    const expression = readExpression(table, subject);
    if (expression.kind === "unfit") {
      if (isEquality || comparisons.has(operator)) unfit.push(expression);
      continue;
    }
    const [name = ""] = expression.columns;
    const column = table.columns.find((one) => one.name === name);
    if (column === undefined) continue;
    if (subject.kind === "column") {
      const pattern = patternOf(operator, operands);
      if (pattern?.anchored !== true || !isText(column.baseType) || sortsByBytes(column.collation, catalog)) continue;
      const opclass = patternClass[column.baseType] ?? "text_pattern_ops";
      const named = `\0${name} ${opclass}`;
      keys.set(named, { key: { ...ascending(name), opclass }, column });
      added.range.push(named);
      continue;
    }
    if (!isEquality && !comparisons.has(operator)) continue;
    const named = `\0${expression.sql}`;
    keys.set(named, {
      key: keyOf(expression),
      column: {
        ...column,
        name: expression.sql,
        type: expression.type,
        baseType: expression.type,
        maxBytes: expression.maxBytes,
        ordered: expression.type !== "json",
      },
    });
    if (joined && isEquality) added.join.push(named);
    else added[isEquality ? "equality" : "range"].push(named);
  }
  return { access: { ...access, ...added }, keys, unfit };
};
