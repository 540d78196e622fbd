import type { A_Expr, CaseExpr, Node, SubLink } from "@pgsql/types";
import { comparison, moreTelling, type ParameterOperator, type ParameterUse, unknownUse } from "./parameter-use.ts";
import {
  isStar,
  namesOf,
  type Origin,
  type Relation,
  resolve,
  type Scope,
  type Source,
  type TableLookup,
} from "./scope.ts";

/** What a query delivers: its columns in order; and which FROM items around it anything in it refers to. */
export interface QueryOutput {
  readonly columns: readonly { readonly name: string; readonly origin: Origin | null }[];
  /** True where further columns may be delivered that we do not know of. */
  readonly open: boolean;
  readonly touched: ReadonlySet<Source>;
}

/** One reading of one statement; what is found is collected here. */
export interface Reading {
  readonly lookup: TableLookup;
  readonly relations: Relation[];
  readonly unresolved: Set<string>;
  readonly parameters: Map<number, ParameterUse>;
  /** The FROM items that each expression refers to, its subqueries' references included. */
  readonly touched: WeakMap<object, ReadonlySet<Source>>;
  readonly subqueries: WeakMap<object, QueryOutput>;
  readonly readQuery: (
    reading: Reading,
    query: Node,
    scope: Scope,
    options?: { readonly existsOnly?: boolean },
  ) => QueryOutput;
}

/** The table's column that an expression is, without any computation. */
export const plainColumn = (node: Node | undefined, scope: Scope): Origin | null => {
  if (node === undefined || !("ColumnRef" in node) || isStar(node.ColumnRef.fields)) return null;
  const found = resolve(scope, namesOf(node.ColumnRef.fields));
  return found.kind === "column" ? found.origin : null;
};

// Functions whose result looks like the argument, so that the column's values are sensible values for the result as well.
const likeTheirArgument = new Set([
  "lower",
  "upper",
  "btrim",
  "ltrim",
  "rtrim",
  "trim",
  "date",
  "date_trunc",
  "abs",
  "min",
  "max",
]);

/** The column whose values resemble those of the expression: the column itself, cast, or in `lower(…)` and the like. */
const resembledColumn = (node: Node | undefined, scope: Scope): Origin | null => {
  if (node === undefined) return null;
  if ("TypeCast" in node) return resembledColumn(node.TypeCast.arg, scope);
  if ("CollateClause" in node) return resembledColumn(node.CollateClause.arg, scope);
  if ("FuncCall" in node && likeTheirArgument.has(namesOf(node.FuncCall.funcname).at(-1) ?? "")) {
    return firstOf(node.FuncCall.args, scope);
  }
  if ("CoalesceExpr" in node) return firstOf(node.CoalesceExpr.args, scope);
  if ("CaseExpr" in node) return firstOf(resultsOf(node.CaseExpr), scope);
  if ("A_Expr" in node) return shiftedColumn(node.A_Expr, scope);
  return plainColumn(node, scope);
};

// `born + $1` is a date like `born`, `born - other_date` is none.
const shiftedColumn = ({ name, lexpr, rexpr }: A_Expr, scope: Scope): Origin | null => {
  const operator = namesOf(name).at(-1);
  if ((operator !== "+" && operator !== "-") || lexpr === undefined || rexpr === undefined) return null;
  const [left, right] = [resembledColumn(lexpr, scope), resembledColumn(rexpr, scope)];
  if (left !== null) return right === null && !isMoment(rexpr) ? left : null;
  return operator === "+" && !isMoment(lexpr) ? right : null;
};

const resultsOf = ({ args, defresult }: CaseExpr): readonly Node[] =>
  [...(args ?? []).map((when) => ("CaseWhen" in when ? when.CaseWhen.result : undefined)), defresult].filter(
    (result) => result !== undefined,
  );

const firstOf = (nodes: readonly Node[] | undefined, scope: Scope): Origin | null => {
  for (const node of nodes ?? []) {
    const found = resembledColumn(node, scope);
    if (found !== null) return found;
  }
  return null;
};

export const useOf = (origin: Origin | null, operator: ParameterOperator): ParameterUse =>
  origin === null
    ? { ...unknownUse, operator }
    : {
        ...unknownUse,
        operator,
        column: { ...origin.relation.table, alias: origin.relation.alias, column: origin.column },
      };

/**
 * Reads an expression: notes the columns it refers to and where its parameters stand. `use` is what the place of the expression says about a
 * parameter that stands there.
 */
export const readExpression = (
  reading: Reading,
  node: Node | undefined,
  scope: Scope,
  use: ParameterUse = unknownUse,
): ReadonlySet<Source> => {
  const touched = new Set<Source>();
  if (node === undefined) return touched;
  const read = (inner: Node | undefined, innerUse?: ParameterUse): void => {
    for (const source of readExpression(reading, inner, scope, innerUse)) touched.add(source);
  };
  reading.touched.set(node, touched);

  if ("ColumnRef" in node) {
    const source = readReference(node.ColumnRef.fields, scope);
    if (source !== null) touched.add(source);
  } else if ("ParamRef" in node) {
    const number = node.ParamRef.number ?? 0;
    reading.parameters.set(number, moreTelling(reading.parameters.get(number), use));
  } else if ("TypeCast" in node) {
    const names = namesOf(node.TypeCast.typeName?.names);
    const suffix = node.TypeCast.typeName?.arrayBounds === undefined ? "" : "[]";
    read(node.TypeCast.arg, { ...use, castTo: `${names.at(-1) ?? ""}${suffix}`, writeAs: "quoted" });
  } else if ("SubLink" in node) {
    const output = readSubquery(reading, node.SubLink, scope);
    for (const source of output.touched) touched.add(source);
    read(node.SubLink.testexpr, useOf(output.columns[0]?.origin ?? null, "in"));
  } else if ("A_Expr" in node) {
    readOperator(node.A_Expr, scope, use, read);
  } else if ("FuncCall" in node) {
    const { args, ...rest } = node.FuncCall;
    const name = namesOf(rest.funcname).at(-1) ?? "";
    args?.forEach((arg, i) => read(arg, argumentUse(name, i, use)));
    for (const inner of nodesIn(rest)) read(inner);
  } else if ("CoalesceExpr" in node || "MinMaxExpr" in node) {
    const args = "CoalesceExpr" in node ? node.CoalesceExpr.args : node.MinMaxExpr.args;
    const sibling = firstOf(args, scope);
    for (const arg of args ?? []) read(arg, sibling === null ? use : useOf(sibling, "value"));
  } else if ("CaseExpr" in node) {
    const { arg, args, defresult } = node.CaseExpr;
    const tested = useOf(resembledColumn(arg, scope), "=");
    const whens = (args ?? []).flatMap((when) => ("CaseWhen" in when ? [when.CaseWhen] : []));
    const sibling = firstOf(resultsOf(node.CaseExpr), scope);
    const result: ParameterUse = sibling === null ? { ...unknownUse, writeAs: "number" } : useOf(sibling, "value");
    read(arg);
    for (const when of whens) {
      read(when.expr, arg === undefined ? undefined : tested);
      read(when.result, result);
    }
    read(defresult, result);
  } else if ("A_ArrayExpr" in node) {
    const element: ParameterUse = {
      ...use,
      operator: use.operator === "any" ? "in" : use.operator,
      writeAs: use.castTo === null ? "element" : "quoted",
      castTo: null,
    };
    for (const inner of node.A_ArrayExpr.elements ?? []) read(inner, element);
  } else {
    for (const inner of nodesIn(node)) read(inner);
  }
  return touched;
};

const readReference = (fields: readonly Node[] | undefined, scope: Scope): Source | null => {
  if (isStar(fields)) {
    const names = namesOf(fields);
    const found = names.length === 0 ? scope.sources : [rowSource(scope, names)].filter((source) => source !== null);
    for (const source of found) markWhole(source);
    return found[0] ?? null;
  }
  const found = resolve(scope, namesOf(fields));
  if (found.kind === "unknown") return null;
  if (found.kind === "row") markWhole(found.source);
  else found.origin?.relation.referenced.add(found.origin.column);
  return found.source;
};

const rowSource = (scope: Scope, names: readonly string[]): Source | null => {
  for (let level: Scope | null = scope; level !== null; level = level.outer) {
    const source = level.sources.find((item) => item.alias === names.at(-1));
    if (source !== undefined) return source;
  }
  return null;
};

const markWhole = (source: Source): void => {
  if (source.relation !== null) source.relation.wholeRow = true;
};

const readSubquery = (reading: Reading, link: SubLink, scope: Scope): QueryOutput => {
  if (link.subselect === undefined) return { columns: [], open: true, touched: new Set() };
  const output = reading.readQuery(reading, link.subselect, scope, {
    existsOnly: link.subLinkType === "EXISTS_SUBLINK",
  });
  reading.subqueries.set(link, output);
  return output;
};

type Read = (inner: Node | undefined, use?: ParameterUse) => void;

const arithmetic = new Set(["+", "-", "*", "/", "%"]);
const betweens = new Set(["AEXPR_BETWEEN", "AEXPR_NOT_BETWEEN", "AEXPR_BETWEEN_SYM", "AEXPR_NOT_BETWEEN_SYM"]);
const containment = new Set(["@>", "<@", "&&"]);

const readOperator = (expression: A_Expr, scope: Scope, use: ParameterUse, read: Read): void => {
  const { lexpr, rexpr, kind } = expression;
  const operator = namesOf(expression.name).at(-1) ?? "";
  const left = resembledColumn(lexpr, scope);
  const right = resembledColumn(rexpr, scope);

  if (kind === "AEXPR_IN") {
    read(lexpr, useOf(firstOf(listOf(rexpr), scope), "in"));
    for (const item of listOf(rexpr)) readAgainst(lexpr, item, "=", scope, read, "in");
  } else if (kind === "AEXPR_OP_ANY" || kind === "AEXPR_OP_ALL") {
    read(lexpr, useOf(right, "="));
    read(rexpr, useOf(left, "any"));
  } else if (kind === "AEXPR_LIKE" || kind === "AEXPR_ILIKE" || kind === "AEXPR_SIMILAR") {
    read(lexpr);
    read(rexpr, useOf(left, kind === "AEXPR_LIKE" ? "like" : "ilike"));
  } else if (betweens.has(kind ?? "")) {
    const [low, high] = listOf(rexpr);
    read(lexpr, useOf(firstOf(listOf(rexpr), scope), "value"));
    read(low, useOf(left, "low"));
    read(high, useOf(left, "high"));
  } else if (arithmetic.has(operator)) {
    const additive = operator === "+" || operator === "-";
    // In `col < $1 + interval …` the left operand is the one that has values like the column's.
    read(
      lexpr,
      additive && left === null && right === null && use.column !== null ? use : operandUse(rexpr, right, use),
    );
    read(rexpr, operandUse(lexpr, left, use));
  } else if (operator === "||") {
    const text: ParameterUse = use.operator === "like" ? { ...use, operator: "ilike" } : unknownUse;
    read(lexpr, text);
    read(rexpr, use.operator === "ilike" ? { ...use, operator: "value" } : unknownUse);
  } else if (containment.has(operator)) {
    read(lexpr, useOf(right, "value"));
    read(rexpr, useOf(left, "value"));
  } else if (comparison(operator, "left") !== undefined) {
    if (lexpr !== undefined && "RowExpr" in lexpr && rexpr !== undefined && "RowExpr" in rexpr) {
      readAgainst(rexpr, lexpr, operator, scope, read);
    } else {
      read(lexpr, useOf(right, comparison(operator, "right") ?? "value"));
    }
    readAgainst(lexpr, rexpr, operator, scope, read);
  } else {
    read(lexpr);
    read(rexpr);
  }
};

// One side of a comparison, where a parameter takes the values of the other side's column; rows member by member.
const readAgainst = (
  other: Node | undefined,
  side: Node | undefined,
  operator: string,
  scope: Scope,
  read: Read,
  as?: ParameterOperator,
): void => {
  if (other !== undefined && "RowExpr" in other && side !== undefined && "RowExpr" in side) {
    side.RowExpr.args?.forEach((member, i) => {
      read(
        member,
        useOf(resembledColumn(other.RowExpr.args?.[i], scope), as ?? comparison(operator, "left") ?? "value"),
      );
    });
    return;
  }
  read(side, useOf(resembledColumn(other, scope), as ?? comparison(operator, "left") ?? "value"));
};

const operandUse = (sibling: Node | undefined, column: Origin | null, incoming: ParameterUse): ParameterUse => {
  if (sibling !== undefined && isMoment(sibling)) return { ...unknownUse, writeAs: "interval" };
  if (column !== null) return { ...useOf(column, "value"), writeAs: "addend" };
  return { ...unknownUse, column: incoming.column, writeAs: "addend" };
};

const momentTypes = new Set(["date", "timestamp", "timestamptz"]);
const momentFunctions = new Set([
  "now",
  "clock_timestamp",
  "statement_timestamp",
  "transaction_timestamp",
  "date_trunc",
]);

const isMoment = (node: Node): boolean => {
  if ("SQLValueFunction" in node) return /DATE|TIMESTAMP/.test(node.SQLValueFunction.op ?? "");
  if ("TypeCast" in node) return momentTypes.has(namesOf(node.TypeCast.typeName?.names).at(-1) ?? "");
  if ("FuncCall" in node) return momentFunctions.has(namesOf(node.FuncCall.funcname).at(-1) ?? "");
  return false;
};

// Functions that would take a quoted literal for text, or take a word of a closed list.
const numericArguments = new Set([
  "generate_series",
  "substring",
  "percentile_cont",
  "percentile_disc",
  "width_bucket",
]);

const argumentUse = (name: string, position: number, incoming: ParameterUse): ParameterUse => {
  if (position === 0 && (name === "extract" || name === "date_part" || name === "date_trunc")) {
    return { ...unknownUse, operator: "time unit" };
  }
  if ((name === "timezone" && position === 0) || (name === "date_trunc" && position === 2)) {
    return { ...unknownUse, operator: "time zone" };
  }
  if (position === 0 && (name === "like_escape" || name === "similar_to_escape")) return incoming;
  if (likeTheirArgument.has(name) && incoming.column !== null) return incoming;
  return numericArguments.has(name) ? { ...unknownUse, writeAs: "number" } : unknownUse;
};

/** The members of a List node. */
export const listOf = (node: Node | undefined): readonly Node[] =>
  node !== undefined && "List" in node ? (node.List.items ?? []) : [];

/** The nodes directly inside of a node; what the library gives without a tag around it is looked through. */
export const nodesIn = (value: object): Node[] =>
  Object.values(value).flatMap((inner: unknown): Node[] => {
    if (Array.isArray(inner)) return inner.flatMap((item: object) => (isNode(item) ? [item] : nodesIn(item)));
    if (typeof inner !== "object" || inner === null) return [];
    return isNode(inner) ? [inner] : nodesIn(inner);
  });

const isNode = (value: object): value is Node => {
  const keys = Object.keys(value);
  return keys.length === 1 && /^[A-Z]/.test(keys[0] ?? "");
};
