import type { CommonTableExpr, InsertStmt, MergeStmt, Node, SelectStmt, WithClause } from "@pgsql/types";
import { type QueryOutput, readExpression, type Reading, useOf } from "./expressions.ts";
import { addTable, apply, outputSource, readFromItem } from "./from-clause.ts";
import { groupingOf, orderingOf, outputColumns } from "./output.ts";
import { noteConditions } from "./conditions.ts";
import type { ParsedStatement } from "./parser.ts";
import { restrictionsOf } from "./restrictions.ts";
import { type Ctes, namesOf, openSource, type Relation, type Scope, type TableLookup } from "./scope.ts";

const nothing: QueryOutput = { columns: [], open: false, touched: new Set() };

/** Reads a statement once, from the outside in; see `Reading` for what is collected. */
export const readStatement = (statement: ParsedStatement, lookup: TableLookup): Reading => {
  const reading: Reading = {
    lookup,
    relations: [],
    unresolved: new Set(),
    parameters: new Map(),
    touched: new WeakMap(),
    subqueries: new WeakMap(),
    readQuery,
  };
  if (statement.verb !== "utility") readQuery(reading, statement.tree, { sources: [], outer: null, ctes: null });
  return reading;
};

const readQuery: Reading["readQuery"] = (reading, query, around, options = {}) => {
  const [body] = Object.values(query) as [{ withClause?: WithClause }];
  const scope: Scope = { sources: [], outer: around, ctes: readWith(reading, body.withClause, around) };
  if ("SelectStmt" in query) return readSelect(reading, query.SelectStmt, scope, options.existsOnly ?? false);
  if ("InsertStmt" in query) return readInsert(reading, query.InsertStmt, scope);
  if ("MergeStmt" in query) return readMerge(reading, query.MergeStmt, scope);
  if ("UpdateStmt" in query) {
    const { relation, targetList, fromClause, whereClause, returningClause } = query.UpdateStmt;
    const target = relation === undefined ? null : addTable(reading, relation, scope, { target: true });
    for (const item of fromClause ?? []) readFromItem(reading, item, scope);
    readAssignments(reading, targetList, scope, target);
    return readModification(reading, scope, target, whereClause, returningClause?.exprs);
  }
  if ("DeleteStmt" in query) {
    const { relation, usingClause, whereClause, returningClause } = query.DeleteStmt;
    const target = relation === undefined ? null : addTable(reading, relation, scope, { target: true });
    for (const item of usingClause ?? []) readFromItem(reading, item, scope);
    return readModification(reading, scope, target, whereClause, returningClause?.exprs);
  }
  return nothing;
};

const readWith = (reading: Reading, clause: WithClause | undefined, around: Scope): Ctes | null => {
  if (clause === undefined) return around.ctes;
  const ctes: Ctes = { sources: new Map(), outer: around.ctes };
  for (const node of clause.ctes ?? []) {
    if (!("CommonTableExpr" in node)) continue;
    const { ctename = "", ctequery, aliascolnames }: CommonTableExpr = node.CommonTableExpr;
    // Inside of itself a recursive name stands for rows of which we know nothing.
    if (clause.recursive) ctes.sources.set(ctename, openSource(ctename, namesOf(aliascolnames)));
    if (ctequery === undefined) continue;
    const output = reading.readQuery(reading, ctequery, { ...around, ctes });
    ctes.sources.set(ctename, outputSource(output, ctename, namesOf(aliascolnames)));
  }
  return ctes;
};

const readSelect = (reading: Reading, select: SelectStmt, scope: Scope, existsOnly: boolean): QueryOutput => {
  const before = reading.relations.length;
  const touched = new Set<QueryOutput["touched"] extends ReadonlySet<infer T> ? T : never>();
  const read = (node: Node | undefined, use?: Parameters<typeof readExpression>[3]): void => {
    for (const source of readExpression(reading, node, scope, use)) touched.add(source);
  };
  const limits = (): void => {
    read(select.limitCount, useOf(null, "limit"));
    read(select.limitOffset, useOf(null, "offset"));
  };

  if (select.larg !== undefined && select.rarg !== undefined) {
    const arms = [select.larg, select.rarg].map((arm) => reading.readQuery(reading, { SelectStmt: arm }, scope));
    limits();
    return {
      columns: (arms[0]?.columns ?? []).map(({ name }) => ({ name, origin: null })),
      open: arms.some((arm) => arm.open),
      touched: new Set(arms.flatMap((arm) => [...arm.touched])),
    };
  }
  if (select.valuesLists !== undefined) {
    const rows = select.valuesLists.map((row) => ("List" in row ? (row.List.items ?? []) : []));
    for (const value of rows.flat()) read(value);
    return { columns: (rows[0] ?? []).map((_, i) => ({ name: `column${i + 1}`, origin: null })), open: false, touched };
  }

  for (const item of select.fromClause ?? []) readFromItem(reading, item, scope);
  read(select.whereClause);
  apply(restrictionsOf(reading, select.whereClause, scope));
  noteConditions(reading, select.whereClause, scope);
  // EXISTS never looks at what its query would deliver.
  if (!existsOnly) for (const target of select.targetList ?? []) read(target);
  for (const node of [select.groupClause, select.distinctClause, select.sortClause, select.windowClause].flat()) {
    if (node !== undefined && Object.keys(node).length > 0) read(node);
  }
  read(select.havingClause);
  limits();

  const own = scope.sources.flatMap((source) => source.relation ?? []);
  const { relation: sorted, order, limited } = orderingOf(select, scope);
  if (sorted !== null && own.includes(sorted)) sorted.order = order;
  const { relation: grouped, columns } = groupingOf(select, scope);
  if (grouped !== null && own.includes(grouped)) grouped.group = columns;
  for (const relation of own) relation.limited ||= limited;
  // Locked rows must be fetched from the table, whatever columns are asked for.
  if (select.lockingClause !== undefined)
    for (const relation of reading.relations.slice(before)) relation.wholeRow = true;
  return {
    ...outputColumns(select, scope),
    touched: new Set([...touched].filter((source) => !scope.sources.includes(source))),
  };
};

const readAssignments = (
  reading: Reading,
  targets: readonly Node[] | undefined,
  scope: Scope,
  relation: Relation | null,
): void => {
  const reads = new Set<string>();
  for (const node of targets ?? []) {
    if (!("ResTarget" in node)) continue;
    const { name = "", val } = node.ResTarget;
    relation?.written.add(name);
    const use = useOf(relation === null ? null : { relation, column: name }, "set");
    if (val === undefined || !("MultiAssignRef" in val)) {
      readExpression(reading, val, scope, use);
      continue;
    }
    // `set (a, b) = (1, 2)` repeats the whole right side at each column.
    const { source, colno = 1 } = val.MultiAssignRef;
    if (source === undefined || "RowExpr" in source) {
      readExpression(reading, source?.RowExpr.args?.[colno - 1], scope, use);
    } else if (!reads.has(JSON.stringify(source))) {
      reads.add(JSON.stringify(source));
      readExpression(reading, source, scope);
    }
  }
};

const readModification = (
  reading: Reading,
  scope: Scope,
  target: Relation | null,
  condition: Node | undefined,
  returning: readonly Node[] | undefined,
): QueryOutput => {
  readExpression(reading, condition, scope);
  apply(restrictionsOf(reading, condition, scope));
  noteConditions(reading, condition, scope);
  for (const node of returning ?? []) readExpression(reading, node, scope);
  // The old row is fetched whole.
  if (target !== null) target.wholeRow = true;
  return { ...outputColumns({ targetList: [...(returning ?? [])] }, scope), touched: new Set() };
};

const readInsert = (reading: Reading, insert: InsertStmt, scope: Scope): QueryOutput => {
  const source = insert.selectStmt;
  const listed = (insert.cols ?? []).flatMap((node) => ("ResTarget" in node ? [node.ResTarget.name ?? ""] : []));
  // The source does not see the target's columns, but the target comes first where one is listed.
  const inner: Scope = { sources: [], outer: scope.outer, ctes: scope.ctes };
  const target = insert.relation === undefined ? null : addTable(reading, insert.relation, scope, { target: true });
  const columns = listed.length > 0 ? listed : (target?.columns ?? []);
  for (const column of target?.columns ?? []) target?.written.add(column);
  const useAt = (i: number): ReturnType<typeof useOf> => {
    const column = columns[i];
    return useOf(target === null || column === undefined ? null : { relation: target, column }, "insert");
  };
  if (source !== undefined && "SelectStmt" in source && source.SelectStmt.valuesLists !== undefined) {
    for (const row of source.SelectStmt.valuesLists) {
      const values = "List" in row ? (row.List.items ?? []) : [];
      values.forEach((value, i) => readExpression(reading, value, inner, useAt(i)));
    }
  } else if (source !== undefined) {
    if ("SelectStmt" in source) {
      source.SelectStmt.targetList?.forEach((node, i) => {
        const value = "ResTarget" in node ? node.ResTarget.val : undefined;
        if (value !== undefined && "ParamRef" in value) readExpression(reading, value, inner, useAt(i));
      });
    }
    reading.readQuery(reading, source, inner);
  }
  const conflict = insert.onConflictClause;
  if (conflict !== undefined && target !== null) {
    scope.sources.push(openSource("excluded", target.columns));
    readAssignments(reading, conflict.targetList, scope, target);
    readExpression(reading, conflict.whereClause, scope);
    if (conflict.action === "ONCONFLICT_UPDATE") target.wholeRow = true;
  }
  for (const node of insert.returningClause?.exprs ?? []) readExpression(reading, node, scope);
  return { ...outputColumns({ targetList: insert.returningClause?.exprs ?? [] }, scope), touched: new Set() };
};

const readMerge = (reading: Reading, merge: MergeStmt, scope: Scope): QueryOutput => {
  const target = merge.relation === undefined ? null : addTable(reading, merge.relation, scope, { target: true });
  if (merge.sourceRelation !== undefined) readFromItem(reading, merge.sourceRelation, scope);
  for (const node of merge.mergeWhenClauses ?? []) {
    if (!("MergeWhenClause" in node)) continue;
    const { commandType, condition, targetList, values } = node.MergeWhenClause;
    readExpression(reading, condition, scope);
    if (commandType === "CMD_INSERT") {
      for (const column of target?.columns ?? []) target?.written.add(column);
      const listed = (targetList ?? []).flatMap((item) => ("ResTarget" in item ? [item.ResTarget.name ?? ""] : []));
      values?.forEach((value, i) => {
        const column = (listed.length > 0 ? listed : (target?.columns ?? []))[i];
        const origin = target === null || column === undefined ? null : { relation: target, column };
        readExpression(reading, value, scope, useOf(origin, "insert"));
      });
    } else {
      readAssignments(reading, targetList, scope, target);
    }
  }
  return readModification(reading, scope, target, merge.joinCondition, merge.returningClause?.exprs);
};
