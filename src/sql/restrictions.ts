import type { A_Expr, Node } from "@pgsql/types";
import { listOf, plainColumn, type Reading } from "./expressions.ts";
import { namesOf, type Origin, resolve, type Scope, type Source } from "./scope.ts";

/** What a condition says about one column, in terms of what an index on that column could serve. */
export interface Restriction {
  readonly origin: Origin;
  readonly kind: "equality" | "range" | "join";
}

const inequality = new Set(["<", "<=", ">", ">="]);

/**
 * The restrictions that hold for every row that satisfies the condition. The expressions in it must have been read before (see
 * `readExpression`), for subqueries are looked up there.
 */
export const restrictionsOf = (reading: Reading, node: Node | undefined, scope: Scope): readonly Restriction[] => {
  if (node === undefined) return [];
  const again = (inner: Node): readonly Restriction[] => restrictionsOf(reading, inner, scope);
  const equality = (inner: Node | undefined): readonly Restriction[] => {
    const origin = plainColumn(inner, scope);
    return origin === null ? [] : [{ origin, kind: "equality" }];
  };

  if ("BoolExpr" in node) {
    const { boolop, args = [] } = node.BoolExpr;
    if (boolop === "AND_EXPR") return args.flatMap(again);
    if (boolop === "OR_EXPR") return inEveryArm(args.map(again));
    // `not active` is `active = false` to the planner.
    return equality(args[0]);
  }
  if ("ColumnRef" in node) return equality(node);
  if ("NullTest" in node) return node.NullTest.nulltesttype === "IS_NULL" ? equality(node.NullTest.arg) : [];
  if ("BooleanTest" in node) {
    const { booltesttype, arg } = node.BooleanTest;
    return booltesttype === "IS_TRUE" || booltesttype === "IS_FALSE" ? equality(arg) : [];
  }
  if ("SubLink" in node) {
    const { subLinkType, operName, testexpr } = node.SubLink;
    if (subLinkType !== "ANY_SUBLINK" || (operName !== undefined && namesOf(operName).at(-1) !== "=")) return [];
    const output = reading.subqueries.get(node.SubLink);
    return membersOf(testexpr).flatMap((member, i): Restriction[] =>
      [plainColumn(member, scope), output?.columns[i]?.origin ?? null].flatMap((origin) =>
        origin === null ? [] : [{ origin, kind: "join" }],
      ),
    );
  }
  return "A_Expr" in node ? comparisons(reading, node.A_Expr, scope) : [];
};

const membersOf = (node: Node | undefined): readonly Node[] => {
  if (node === undefined) return [];
  return "RowExpr" in node ? (node.RowExpr.args ?? []) : [node];
};

const comparisons = (reading: Reading, expression: A_Expr, scope: Scope): readonly Restriction[] => {
  const { kind, lexpr, rexpr } = expression;
  const operator = namesOf(expression.name).at(-1) ?? "";
  const against = (column: Node | undefined, others: readonly (Node | undefined)[], as: "equality" | "range") =>
    restriction(reading, scope, column, others, as);

  if (kind === "AEXPR_OP") {
    const left = membersOf(lexpr);
    const right = membersOf(rexpr);
    if (operator === "=") {
      return left.flatMap((member, i) => [
        ...against(member, [right[i]], "equality"),
        ...against(right[i], [member], "equality"),
      ]);
    }
    // Of a row comparison, `(a, b) > (1, 2)`, the first column is what an index scan begins with.
    return inequality.has(operator)
      ? [...against(left[0], [right[0]], "range"), ...against(right[0], [left[0]], "range")]
      : [];
  }
  if (kind === "AEXPR_IN" && operator === "=") {
    const items = listOf(rexpr).map(membersOf);
    const column = (i: number): (Node | undefined)[] => items.map((item) => item[i]);
    return membersOf(lexpr).flatMap((member, i) => against(member, column(i), "equality"));
  }
  if (kind === "AEXPR_OP_ANY" && operator === "=") return against(lexpr, [rexpr], "equality");
  if (kind === "AEXPR_BETWEEN" || kind === "AEXPR_BETWEEN_SYM") return against(lexpr, listOf(rexpr), "range");
  if (kind === "AEXPR_LIKE" && operator === "~~" && !unanchored(rexpr)) return against(lexpr, [rexpr], "range");
  return [];
};

// A parameter may be anchored or not; only a pattern that is written out can be ruled out.
const unanchored = (pattern: Node | undefined): boolean => {
  if (pattern === undefined) return true;
  if ("ParamRef" in pattern) return false;
  if ("TypeCast" in pattern) return unanchored(pattern.TypeCast.arg);
  return !("A_Const" in pattern) || /^([%_]|$)/.test(pattern.A_Const.sval?.sval ?? "");
};

const restriction = (
  reading: Reading,
  scope: Scope,
  column: Node | undefined,
  others: readonly (Node | undefined)[],
  as: "equality" | "range",
): readonly Restriction[] => {
  const origin = plainColumn(column, scope);
  if (origin === null || column === undefined || !("ColumnRef" in column)) return [];
  const found = resolve(scope, namesOf(column.ColumnRef.fields));
  const touched = new Set<Source>(
    others.flatMap((other) => (other === undefined ? [] : [...(reading.touched.get(other) ?? [])])),
  );
  // A comparison with the same row cannot be looked up.
  if (found.kind === "column" && touched.has(found.source)) return [];
  return [{ origin, kind: as === "equality" && touched.size > 0 ? "join" : as }];
};

const sameColumn = (a: Origin, b: Origin): boolean => a.relation === b.relation && a.column === b.column;

// An OR restricts a column only if each arm does: as strongly as its weakest arm.
const inEveryArm = (arms: readonly (readonly Restriction[])[]): readonly Restriction[] => {
  const [first = [], ...rest] = arms;
  return first.flatMap((one): Restriction[] => {
    const others = rest.map((arm) => arm.find((other) => sameColumn(other.origin, one.origin)));
    const kinds = new Set([one.kind, ...others.map((other) => other?.kind)]);
    if (kinds.has(undefined)) return [];
    if (kinds.size === 1) return [one];
    return kinds.has("join") ? [] : [{ ...one, kind: "range" }];
  });
};
