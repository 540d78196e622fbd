import type { JoinExpr, MergeStmt, Node, RangeVar, SelectStmt } from "@pgsql/types";
import type { Gate } from "./gate.ts";

/** Why an occurrence of the table cannot be given its gate. */
export type GateSkip =
  /** Both sides of a full join are completed with nulls: no condition reaches either scan. */
  | "full join"
  /** The optional side of a join `using` or `natural`, which has no condition to add to. */
  | "join without on"
  /** `(a join b …) as j` hides the names inside. */
  | "join with an alias"
  /** `t as x (a, b)`: which name the column has needs the catalogue. */
  | "renamed columns"
  /** Two tables of one name in two schemas. */
  | "ambiguous name"
  /** A name of WITH is the table's. */
  | "hidden by with"
  /** The bare name is not known to mean this table. */
  | "unresolved name"
  | "where current of"
  /** A sample reads the table itself, never an index. */
  | "tablesample"
  /** The side of MERGE whose rows are all kept. */
  | "merge keeps all rows"
  /** DDL, EXPLAIN, COPY, cursors of SQL… */
  | "not a query"
  | "several statements"
  | "unparsable"
  /** Where standard_conforming_strings is off, such a string ends elsewhere. */
  | "backslash before a quote"
  | "too long"
  /** No sure position in the text, or the text read again is not the intended statement. */
  | "not verified";

/** A clause to which gates are to be added, as a conjunct. */
export interface GatePlace {
  /** The body of the node that has the clause. */
  readonly holder: object;
  readonly key: "whereClause" | "quals" | "joinCondition";
  readonly clause: Node | undefined;
  /** The keyword that begins the part of the statement with the table in it; only a WHERE that is not there yet needs it. */
  readonly opens: "from" | "update" | "delete";
}

/** One scan of the table. */
export interface GatedScan {
  readonly place: GatePlace;
  /** The name by which conditions refer to it. */
  readonly alias: string;
  /** Byte position of its name. */
  readonly location: number;
  /** Without its schema. */
  readonly bare: boolean;
}

export interface GatePlaces {
  readonly scans: readonly GatedScan[];
  readonly skipped: readonly GateSkip[];
}

type Target = GatePlace | GateSkip;

/**
 * Where each scan of the gate's table can be given the gate so that it reaches the scan: WHERE, or for the optional side of an outer join the ON of the
 * nearest. Any conjunct is safe, for the gate holds for every row, those completed with nulls included.
 */
export const gatePlaces = (tree: Node, gate: Gate): GatePlaces => {
  const scans: GatedScan[] = [];
  const skipped: GateSkip[] = [];
  const hiddenByWith = hasCte(tree, gate.table.name);

  const scan = (range: RangeVar, target: Target, names: readonly string[]): void => {
    if (range.relname !== gate.table.name || (range.schemaname ?? gate.table.schema) !== gate.table.schema) return;
    const alias = range.alias?.aliasname ?? range.relname;
    const skip = (): GateSkip | null => {
      if (range.schemaname === undefined && hiddenByWith) return "hidden by with";
      if (range.schemaname === undefined && !gate.bareName) return "unresolved name";
      if (range.alias?.colnames !== undefined) return "renamed columns";
      return names.filter((name) => name === alias).length > 1 ? "ambiguous name" : null;
    };
    const reason = skip() ?? target;
    if (typeof reason === "string") skipped.push(reason);
    else scans.push({ place: reason, alias, location: range.location ?? 0, bare: range.schemaname === undefined });
  };

  const fromItem = (node: Node, target: Target, names: readonly string[]): void => {
    if ("RangeVar" in node) scan(node.RangeVar, target, names);
    else if ("JoinExpr" in node) join(node.JoinExpr, target, names);
    else if ("RangeTableSample" in node && node.RangeTableSample.relation !== undefined) {
      fromItem(node.RangeTableSample.relation, "tablesample", names);
    }
  };

  const join = (expression: JoinExpr, outside: Target, names: readonly string[]): void => {
    const kept = expression.alias === undefined ? outside : "join with an alias";
    const optional: Target =
      expression.quals === undefined
        ? "join without on"
        : { holder: expression, key: "quals", clause: expression.quals, opens: "from" };
    const [left, right] = {
      JOIN_LEFT: [kept, optional],
      JOIN_RIGHT: [optional, kept],
      JOIN_FULL: ["full join", "full join"],
    }[expression.jointype as string] ?? [kept, kept];
    if (expression.larg !== undefined && left !== undefined) fromItem(expression.larg, left as Target, names);
    if (expression.rarg !== undefined && right !== undefined) fromItem(expression.rarg, right as Target, names);
  };

  const level = (
    holder: object,
    clause: Node | undefined,
    items: readonly Node[] | undefined,
    opens: GatePlace["opens"],
  ): void => {
    const target: Target =
      clause !== undefined && "CurrentOfExpr" in clause
        ? "where current of"
        : { holder, key: "whereClause", clause, opens };
    const names = (items ?? []).flatMap(aliasesOf);
    for (const item of items ?? []) fromItem(item, target, names);
  };

  const select = (body: SelectStmt): void => {
    if (body.larg !== undefined) select(body.larg);
    if (body.rarg !== undefined) select(body.rarg);
    level(body, body.whereClause, body.fromClause, "from");
  };

  const merge = (body: MergeStmt): void => {
    const kinds = new Set(
      (body.mergeWhenClauses ?? []).flatMap((node) =>
        "MergeWhenClause" in node ? [node.MergeWhenClause.matchKind] : [],
      ),
    );
    const target = (keepsAll: boolean): Target =>
      keepsAll || body.joinCondition === undefined
        ? "merge keeps all rows"
        : { holder: body, key: "joinCondition", clause: body.joinCondition, opens: "from" };
    const items: readonly Node[] = body.relation === undefined ? [] : [{ RangeVar: body.relation }];
    const names = [...items, ...(body.sourceRelation === undefined ? [] : [body.sourceRelation])].flatMap(aliasesOf);
    for (const item of items) fromItem(item, target(kinds.has("MERGE_WHEN_NOT_MATCHED_BY_SOURCE")), names);
    if (body.sourceRelation !== undefined) {
      fromItem(body.sourceRelation, target(kinds.has("MERGE_WHEN_NOT_MATCHED_BY_TARGET")), names);
    }
  };

  const visit = (value: object): void => {
    if ("SelectStmt" in value) select(value.SelectStmt as SelectStmt);
    else if ("MergeStmt" in value) merge(value.MergeStmt as MergeStmt);
    else if ("UpdateStmt" in value) {
      const body = value.UpdateStmt as Extract<Node, { UpdateStmt: unknown }>["UpdateStmt"];
      level(body, body.whereClause, targetAnd(body.relation, body.fromClause), "update");
    } else if ("DeleteStmt" in value) {
      const body = value.DeleteStmt as Extract<Node, { DeleteStmt: unknown }>["DeleteStmt"];
      level(body, body.whereClause, targetAnd(body.relation, body.usingClause), "delete");
    }
    for (const inner of Object.values(value) as readonly unknown[]) {
      if (typeof inner === "object" && inner !== null) visit(inner);
    }
  };
  visit(tree);
  return { scans, skipped };
};

/** Whether the table is named anywhere, in a statement of any kind. */
export const namesTable = (value: object, gate: Gate): boolean => {
  if ("RangeVar" in value) {
    const { relname, schemaname } = value.RangeVar as RangeVar;
    if (relname === gate.table.name && (schemaname ?? gate.table.schema) === gate.table.schema) return true;
  }
  return Object.values(value).some(
    (inner: unknown) => typeof inner === "object" && inner !== null && namesTable(inner, gate),
  );
};

const targetAnd = (target: RangeVar | undefined, others: readonly Node[] | undefined): readonly Node[] => [
  ...(target === undefined ? [] : [{ RangeVar: target }]),
  ...(others ?? []),
];

const hasCte = (value: object, name: string): boolean =>
  ("CommonTableExpr" in value && (value.CommonTableExpr as { ctename?: string }).ctename === name) ||
  Object.values(value).some((inner: unknown) => typeof inner === "object" && inner !== null && hasCte(inner, name));

const aliasesOf = (node: Node): readonly string[] => {
  if ("JoinExpr" in node) {
    return [node.JoinExpr.larg, node.JoinExpr.rarg].flatMap((side) => (side === undefined ? [] : aliasesOf(side)));
  }
  if ("RangeVar" in node) return [node.RangeVar.alias?.aliasname ?? node.RangeVar.relname ?? ""];
  if ("RangeTableSample" in node) {
    return node.RangeTableSample.relation === undefined ? [] : aliasesOf(node.RangeTableSample.relation);
  }
  return [];
};
