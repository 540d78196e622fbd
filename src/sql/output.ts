import type { Node, SelectStmt } from "@pgsql/types";
import type { SortColumn } from "../domain/index.ts";
import { plainColumn, type QueryOutput } from "./expressions.ts";
import { isStar, namesOf, type Origin, type Relation, type Scope } from "./scope.ts";

const targetsOf = (select: SelectStmt) =>
  (select.targetList ?? []).flatMap((node) => ("ResTarget" in node ? [node.ResTarget] : []));

/** The columns a SELECT delivers, each with the table's column behind it where there is one. */
export const outputColumns = (select: SelectStmt, scope: Scope): Omit<QueryOutput, "touched"> => {
  let open = false;
  const columns = targetsOf(select).flatMap(({ name, val }) => {
    if (val !== undefined && "ColumnRef" in val && isStar(val.ColumnRef.fields)) {
      const qualifier = namesOf(val.ColumnRef.fields).at(-1);
      const sources = scope.sources.filter((source) => qualifier === undefined || source.alias === qualifier);
      open ||= sources.some((source) => source.open);
      return sources.flatMap((source) => [...source.columns].map(([column, origin]) => ({ name: column, origin })));
    }
    return [{ name: name ?? implicitName(val), origin: plainColumn(val, scope) }];
  });
  return { columns, open };
};

const implicitName = (value: Node | undefined): string => {
  if (value === undefined) return "";
  if ("ColumnRef" in value) return namesOf(value.ColumnRef.fields).at(-1) ?? "";
  if ("FuncCall" in value) return namesOf(value.FuncCall.funcname).at(-1) ?? "";
  if ("TypeCast" in value) return implicitName(value.TypeCast.arg);
  return "?column?";
};

// ORDER BY 2 and ORDER BY name mean output columns; a name in GROUP BY means an input column first.
const fromOutput = (select: SelectStmt, node: Node): Node | undefined => {
  const targets = targetsOf(select);
  if ("A_Const" in node && node.A_Const.ival !== undefined) return targets[(node.A_Const.ival.ival ?? 0) - 1]?.val;
  if (!("ColumnRef" in node)) return undefined;
  const names = namesOf(node.ColumnRef.fields);
  return names.length === 1 ? targets.find((target) => target.name === names[0])?.val : undefined;
};

interface Ordering {
  readonly relation: Relation | null;
  readonly order: readonly SortColumn[];
  readonly limited: boolean;
}

/** How a query level wants its rows sorted, where one table's columns alone decide; and whether it stops early. */
export const orderingOf = (select: SelectStmt, scope: Scope): Ordering => {
  const limited = select.limitCount !== undefined && !isNull(select.limitCount);
  const none = { relation: null, order: [], limited };
  const extreme = extremeOf(select, scope);
  if (extreme !== null) return extreme;
  const keys: { origin: Origin; key: SortColumn }[] = [];
  for (const node of select.sortClause ?? []) {
    if (!("SortBy" in node) || node.SortBy.node === undefined) return none;
    const { node: expression, sortby_dir, sortby_nulls, useOp } = node.SortBy;
    const origin = plainColumn(fromOutput(select, expression) ?? expression, scope);
    if (origin === null || useOp !== undefined || sortby_dir === "SORTBY_USING") return none;
    const direction = sortby_dir === "SORTBY_DESC" ? "desc" : "asc";
    const ordinary = direction === "desc" ? "first" : "last";
    const nulls =
      sortby_nulls === "SORTBY_NULLS_FIRST" ? "first" : sortby_nulls === "SORTBY_NULLS_LAST" ? "last" : ordinary;
    if (!keys.some((key) => key.origin.column === origin.column && key.origin.relation === origin.relation)) {
      keys.push({ origin, key: { column: origin.column, direction, nulls } });
    }
  }
  const relation = soleRelation(keys.map(({ origin }) => origin));
  return relation === null ? none : { relation, order: keys.map(({ key }) => key), limited };
};

const isNull = (node: Node): boolean => "A_Const" in node && node.A_Const.isnull === true;

const soleRelation = (origins: readonly Origin[]): Relation | null => {
  const [first] = origins;
  return first !== undefined && origins.every((origin) => origin.relation === first.relation) ? first.relation : null;
};

// `select max(a) from t where …` is planned as `order by a desc limit 1` (planagg.c), so that is what we say it is.
const extremeOf = (select: SelectStmt, scope: Scope): Ordering | null => {
  const [target, second] = targetsOf(select);
  if (second !== undefined || select.groupClause !== undefined || scope.sources.length !== 1) return null;
  const value = target?.val;
  if (value === undefined || !("FuncCall" in value) || value.FuncCall.over !== undefined) return null;
  const name = namesOf(value.FuncCall.funcname).at(-1);
  const origin = plainColumn(value.FuncCall.args?.[0], scope);
  if ((name !== "min" && name !== "max") || origin === null || value.FuncCall.args?.length !== 1) return null;
  const key: SortColumn = { column: origin.column, direction: name === "max" ? "desc" : "asc", nulls: "last" };
  return { relation: origin.relation, order: [key], limited: true };
};

/** The columns by which a query level groups its rows or makes them distinct, where one table's columns alone decide. */
export const groupingOf = (
  select: SelectStmt,
  scope: Scope,
): { readonly relation: Relation | null; readonly columns: readonly string[] } => {
  const distinct = select.distinctClause?.filter((node) => Object.keys(node).length > 0);
  const grouped: readonly (Node | undefined)[] =
    select.groupClause ?? (distinct?.length === 0 ? targetsOf(select).map(({ val }) => val) : (distinct ?? []));
  const origins = grouped.map((node) => {
    if (node === undefined) return null;
    const input = plainColumn(node, scope);
    if (input !== null) return input;
    return plainColumn(fromOutput(select, node), scope);
  });
  const known = origins.filter((origin) => origin !== null);
  const relation = known.length === origins.length ? soleRelation(known) : null;
  return { relation, columns: relation === null ? [] : [...new Set(known.map(({ column }) => column))] };
};
