import type { Node } from "@pgsql/types";
import { type TableAccess, tableId, type TableName } from "../domain/index.ts";
import { nodesIn } from "./expressions.ts";
import type { ParameterUse } from "./parameter-use.ts";
import type { ParsedStatement } from "./parser.ts";
import { readStatement } from "./reading.ts";
import { namesOf, type TableLookup } from "./scope.ts";

export interface StatementAccess {
  /** One per occurrence of a table: a table joined with itself comes twice. */
  readonly accesses: readonly TableAccess[];
  /** Each table once. */
  readonly tables: readonly TableName[];
  /** Names, as written, that `lookup` does not know: views, foreign tables, tables that are gone. */
  readonly unresolved: readonly string[];
}

/** What one statement asks of each table. Nothing for utility statements. */
export const analyseAccess = (statement: ParsedStatement, lookup: TableLookup): StatementAccess => {
  const { relations, unresolved } = readStatement(statement, lookup);
  return {
    accesses: relations.map((one) => ({
      table: one.table,
      alias: one.alias,
      equality: [...one.equality],
      range: [...one.range],
      join: [...one.join],
      order: one.order,
      group: one.group,
      limited: one.limited,
      referenced: one.wholeRow ? null : [...one.referenced],
      written: [...one.written],
      ...(one.conditions.length === 0 ? {} : { conditions: one.conditions }),
    })),
    tables: [...new Map(relations.map(({ table }) => [tableId(table), table])).values()],
    unresolved: [...unresolved],
  };
};

/** Where each parameter `$n` stands; by n. */
export const parameterUses = (statement: ParsedStatement, lookup: TableLookup): ReadonlyMap<number, ParameterUse> =>
  readStatement(statement, lookup).parameters;

/** The names of the functions it calls anywhere, without schema. */
export const functionsOf = (statement: ParsedStatement): readonly string[] => {
  const found = new Set<string>();
  const pending: Node[] = [statement.tree];
  for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
    if ("FuncCall" in node) found.add(namesOf(node.FuncCall.funcname).at(-1) ?? "");
    pending.push(...nodesIn(node));
  }
  return [...found];
};
