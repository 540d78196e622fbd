import type { A_Const, A_Expr, FuncCall, Node } from "@pgsql/types";
import type { RowCondition, RowExpression } from "../domain/index.ts";
import { listOf, plainColumn, type Reading } from "./expressions.ts";
import { namesOf, type Relation, type Scope } from "./scope.ts";

/** An expression of one table's row; `relation` is null where no column is in it. */
interface OfRow {
  readonly expression: RowExpression;
  readonly relation: Relation | null;
}

/**
 * Notes, at the table that each is about, the conditions that hold for every row which satisfies `node`. Of an OR nothing is noted: no single
 * index of one table answers it by itself. The expressions must have been read before.
 * @param only the tables whose rows the condition may remove; by default all
 */
export const noteConditions = (
  reading: Reading,
  node: Node | undefined,
  scope: Scope,
  only?: ReadonlySet<Relation | undefined>,
): void => {
  for (const { relation, condition } of conditionsOf(reading, node, scope)) {
    if (condition.joined || only === undefined || only.has(relation)) relation.conditions.push(condition);
  }
};

interface Found {
  readonly relation: Relation;
  readonly condition: RowCondition;
}

const conditionsOf = (reading: Reading, node: Node | undefined, scope: Scope): readonly Found[] => {
  if (node === undefined) return [];
  const test = (inner: Node | undefined, operator: string): readonly Found[] => {
    const subject = ofRow(inner, scope);
    if (subject === null || subject.relation === null) return [];
    return [
      {
        relation: subject.relation,
        condition: { subject: subject.expression, operator, operands: [], joined: false },
      },
    ];
  };
  if ("BoolExpr" in node) {
    const { boolop, args = [] } = node.BoolExpr;
    if (boolop === "AND_EXPR") return args.flatMap((arg) => conditionsOf(reading, arg, scope));
    return boolop === "NOT_EXPR" && args[0] !== undefined && "ColumnRef" in args[0] ? test(args[0], "is false") : [];
  }
  if ("ColumnRef" in node) return test(node, "is true");
  if ("FuncCall" in node) return calls(reading, node.FuncCall, scope);
  if ("NullTest" in node) {
    return test(node.NullTest.arg, node.NullTest.nulltesttype === "IS_NULL" ? "is null" : "is not null");
  }
  if ("BooleanTest" in node) {
    const { booltesttype, arg } = node.BooleanTest;
    if (booltesttype !== "IS_TRUE" && booltesttype !== "IS_FALSE") return [];
    return test(arg, booltesttype === "IS_TRUE" ? "is true" : "is false");
  }
  return "A_Expr" in node ? comparisons(reading, node.A_Expr, scope) : [];
};

// `st_dwithin(place, $1, 100)`: the function as a whole is what an index answers; which, candidates know.
const calls = (reading: Reading, { args = [], funcname }: FuncCall, scope: Scope): readonly Found[] => {
  const name = qualified(funcname);
  return args.flatMap((arg, i): Found[] => {
    const subject = ofRow(arg, scope);
    const relation = subject?.relation ?? null;
    const others = args.filter((_, j) => j !== i);
    if (subject === null || relation === null || touches(reading, others, relation)) return [];
    const call: RowExpression = { kind: "call", name, arguments: [subject.expression] };
    const joined = others.some((other) => (reading.touched.get(other)?.size ?? 0) > 0);
    return [{ relation, condition: { subject: call, operator: "call", operands: null, joined } }];
  });
};

const mirrored: Readonly<Record<string, string>> = {
  "=": "=",
  "<>": "<>",
  "<": ">",
  "<=": ">=",
  ">": "<",
  ">=": "<=",
  "&&": "&&",
  "@>": "<@",
  "<@": "@>",
  "@@": "@@",
  "%": "%",
};

const listOperators: Readonly<Record<string, string>> = {
  AEXPR_IN: "in",
  AEXPR_BETWEEN: "between",
  AEXPR_BETWEEN_SYM: "between",
};

const comparisons = (reading: Reading, { kind, name, lexpr, rexpr }: A_Expr, scope: Scope): readonly Found[] => {
  const operator = namesOf(name).at(-1) ?? "";
  const one = (side: Node | undefined, as: string, others: readonly (Node | undefined)[]): readonly Found[] => {
    const subject = ofRow(side, scope);
    const known = others.filter((other) => other !== undefined);
    if (subject === null || subject.relation === null || touches(reading, known, subject.relation)) return [];
    const operands = known.map((other) => ofRow(other, scope)).filter((other) => other !== null);
    const isHeld =
      operands.length === others.length &&
      operands.every((operand) => operand.relation === null && isKnown(operand.expression));
    return [
      {
        relation: subject.relation,
        condition: {
          subject: subject.expression,
          operator: as,
          operands: isHeld ? operands.map((operand) => operand.expression) : null,
          joined: known.some((other) => (reading.touched.get(other)?.size ?? 0) > 0),
        },
      },
    ];
  };
  const list = listOperators[kind ?? ""];
  if (list !== undefined) return list === "in" && operator !== "=" ? [] : one(lexpr, list, listOf(rexpr));
  if (kind === "AEXPR_LIKE" || kind === "AEXPR_ILIKE") return one(lexpr, operator, [rexpr]);
  if (kind === "AEXPR_OP_ANY") return operator === "=" ? one(lexpr, "in", [rexpr]) : [];
  if (kind !== "AEXPR_OP" || lexpr === undefined) return [];
  const back = mirrored[operator];
  return [...one(lexpr, operator, [rexpr]), ...(back === undefined ? [] : one(rexpr, back, [lexpr]))];
};

const touches = (reading: Reading, nodes: readonly Node[], relation: Relation): boolean =>
  nodes.some((node) => [...(reading.touched.get(node) ?? [])].some((source) => source.relation === relation));

const isKnown = (expression: RowExpression): boolean => {
  switch (expression.kind) {
    case "parameter":
      return false;
    case "cast":
      return isKnown(expression.argument);
    case "operator":
      return isKnown(expression.left) && isKnown(expression.right);
    case "call":
      return expression.arguments.every(isKnown);
    case "column":
    case "constant":
      return true;
  }
};

const qualified = (names: readonly Node[] | undefined): string =>
  namesOf(names)
    .filter((part, i, all) => i === all.length - 1 || part !== "pg_catalog")
    .join(".");

const constant = (value: A_Const): RowExpression | null => {
  if (value.sval !== undefined) return { kind: "constant", type: "text", value: value.sval.sval ?? "" };
  if (value.ival !== undefined) return { kind: "constant", type: "number", value: String(value.ival.ival ?? 0) };
  if (value.fval !== undefined) return { kind: "constant", type: "number", value: value.fval.fval ?? "0" };
  if (value.boolval !== undefined)
    return { kind: "constant", type: "boolean", value: String(value.boolval.boolval ?? false) };
  return null;
};

/** The expression where it is made of constants and of one table's columns only; null for subqueries and whatever else. */
const ofRow = (node: Node | undefined, scope: Scope): OfRow | null => {
  if (node === undefined) return null;
  if ("A_Const" in node) {
    const expression = constant(node.A_Const);
    return expression === null ? null : { expression, relation: null };
  }
  if ("ParamRef" in node) return { expression: { kind: "parameter" }, relation: null };
  if ("ColumnRef" in node) {
    const origin = plainColumn(node, scope);
    return origin === null
      ? null
      : { expression: { kind: "column", column: origin.column }, relation: origin.relation };
  }
  if ("TypeCast" in node) {
    const argument = ofRow(node.TypeCast.arg, scope);
    const { names, arrayBounds, typmods } = node.TypeCast.typeName ?? {};
    // A length cuts or rounds, which is another expression than the bare type's.
    if (argument === null || typmods !== undefined) return null;
    const type = `${qualified(names)}${arrayBounds === undefined ? "" : "[]"}`;
    return { ...argument, expression: { kind: "cast", argument: argument.expression, type } };
  }
  if ("FuncCall" in node) {
    const { funcname, args = [], over, agg_distinct, agg_star, agg_order } = node.FuncCall;
    if (over !== undefined || agg_distinct || agg_star || agg_order !== undefined) return null;
    return together(args, scope, (parts) => ({ kind: "call", name: qualified(funcname), arguments: parts }));
  }
  if ("CoalesceExpr" in node) {
    return together(node.CoalesceExpr.args ?? [], scope, (parts) => ({
      kind: "call",
      name: "coalesce",
      arguments: parts,
    }));
  }
  if ("A_Expr" in node && node.A_Expr.kind === "AEXPR_OP" && node.A_Expr.lexpr && node.A_Expr.rexpr) {
    const operator = namesOf(node.A_Expr.name).at(-1) ?? "";
    return together([node.A_Expr.lexpr, node.A_Expr.rexpr], scope, ([left, right]) =>
      left === undefined || right === undefined ? null : { kind: "operator", operator, left, right },
    );
  }
  return null;
};

const together = (
  nodes: readonly Node[],
  scope: Scope,
  make: (parts: readonly RowExpression[]) => RowExpression | null,
): OfRow | null => {
  const parts = nodes.map((node) => ofRow(node, scope));
  const known = parts.filter((part) => part !== null);
  const relations = new Set(known.flatMap(({ relation }) => relation ?? []));
  if (known.length < parts.length || relations.size > 1) return null;
  const expression = make(known.map((part) => part.expression));
  return expression === null ? null : { expression, relation: [...relations][0] ?? null };
};
