import {
  type Catalog,
  type ChosenIndex,
  type Column,
  type RowCondition,
  type RowExpression,
  type Statement,
  tableId,
} from "../domain/index.ts";
import { arrayElements } from "../postgres/index.ts";
import { endsAreUnknown } from "../shadow/index.ts";
import { analyseAccess, parseStatement, type TableLookup } from "../sql/index.ts";

/**
 * Whether a statement asks for a range at an end of the index's leading column that only the built index will know. The planner asks a B-tree for the lowest
 * or highest value where a comparison falls into the outermost step of the histogram (`ineq_histogram_selectivity`); until there is one, it takes the
 * end of ANALYZE's sample, and expects another number of rows.
 */
export const asksBeyondKnownEnds = (
  catalog: Catalog,
  { index }: Pick<ChosenIndex, "index">,
  { bindings }: Pick<Statement, "bindings">,
): boolean => {
  const { method, keys, table: name, where } = index.definition;
  const [leading] = keys;
  if (method !== "btree" || where !== undefined || leading === undefined || leading.expression !== undefined)
    return false;
  const table = catalog.tables.find((one) => tableId(one) === tableId(name));
  const column = table?.columns.find((one) => one.name === leading.column);
  if (table === undefined || column === undefined || !endsAreUnknown(catalog, table, column.name)) return false;
  // The statement is known to be served by this index, so that the name means its table.
  const known = { schema: table.schema, name: table.name, columns: table.columns.map((one) => one.name) };
  const lookup: TableLookup = (schema, written) =>
    written === name.name && (schema === null || schema === name.schema) ? known : undefined;
  return bindings.some(({ sql }) => {
    const parsed = parseStatement(sql);
    if (parsed.kind !== "parsed") return false;
    return analyseAccess(parsed.statement, lookup).accesses.some(({ conditions = [] }) =>
      conditions.some((condition) => isAtAnEnd(condition, column)),
    );
  });
};

/** Whether a condition lets in rows of the histogram's outermost step only. */
export const isAtAnEnd = (
  { subject, operator, operands }: RowCondition,
  { name, baseType, statistics }: Pick<Column, "name" | "baseType" | "statistics">,
): boolean => {
  const bounds = arrayElements(statistics?.histogramBounds ?? "{}").map((text) => position(text, baseType));
  const [second, secondLast] = [bounds[1], bounds.at(-2)];
  if (subject.kind !== "column" || subject.column !== name || second === undefined || secondLast === undefined)
    return false;
  const [low = null, high = null] = (operands ?? []).map((operand) => position(constantOf(operand), baseType));
  const isLow = (value: number | null): boolean => value !== null && second !== null && value < second;
  const isHigh = (value: number | null): boolean => value !== null && secondLast !== null && value > secondLast;
  switch (operator) {
    case "<":
    case "<=":
      return isLow(low);
    case ">":
    case ">=":
      return isHigh(low);
    case "between":
      return isHigh(low) || isLow(high);
    default:
      return false;
  }
};

const constantOf = (expression: RowExpression): string | null =>
  expression.kind === "constant"
    ? expression.value
    : expression.kind === "cast"
      ? constantOf(expression.argument)
      : null;

const numbers = new Set(["int2", "int4", "int8", "numeric", "float4", "float8", "oid"]);
const times = new Set(["date", "timestamp", "timestamptz"]);

/** Where a value lies on the axis of its type; null for types whose order is not ours to know, and for texts such as `infinity`. */
const position = (text: string | null, type: string): number | null => {
  if (text === null || text === "") return null;
  const value = numbers.has(type)
    ? Number(text)
    : times.has(type)
      ? Date.parse(text.replace(/(:\d\d(?:\.\d+)?[+-]\d\d)$/, "$1:00"))
      : Number.NaN;
  return Number.isFinite(value) ? value : null;
};
