import {
  type Column,
  type RowCondition,
  type Table,
  type TableAccess,
  tableId,
  type TableName,
} from "../domain/index.ts";
import { arrayElements, quoteIdentifier } from "../postgres/index.ts";
import { constantFor } from "./expression.ts";

/** A condition that a partial index can hold, because each of these statements' rows satisfies it whatever its parameters are. */
export interface Predicate {
  /** As `pg_get_expr` writes it, with its parentheses. */
  readonly sql: string;
  readonly column: string;
  /** Of the table's rows, by the statistics. */
  readonly share: number;
}

/** A predicate must spare this share of the rows: below, a whole index serves more statements for hardly more bytes. */
const leastSpared = 0.1;
/** Of values, one that half of the rows have is no reason for an index of its own. */
const largestConstantShare = 0.5;
/** A column of more values than this is searched by, and its constant is another one next time; a state or a flag has few. */
const mostFlagValues = 20;
/** Longer lists are rarely the same in the next statement. */
const longestList = 5;

const statisticsOf = (column: Column) => column.statistics ?? column.inheritedStatistics;

/** The predicates that the conditions of one statement prove. */
export const predicatesOf = (table: Table, conditions: readonly RowCondition[]): readonly Predicate[] => {
  const found = new Map<string, Predicate>();
  for (const condition of conditions) {
    const predicate = predicateOf(table, condition);
    if (predicate !== null && predicate.share <= 1 - leastSpared) found.set(predicate.sql, predicate);
  }
  return [...found.values()];
};

const predicateOf = (table: Table, { subject, operator, operands }: RowCondition): Predicate | null => {
  if (subject.kind !== "column") return null;
  const column = table.columns.find((one) => one.name === subject.column);
  if (column === undefined || column.generated?.kind === "virtual") return null;
  const statistics = statisticsOf(column);
  if (statistics === null) return null;
  const name = quoteIdentifier(column.name);
  const made = (sql: string, share: number): Predicate => ({ sql, column: column.name, share });

  if (operator === "is null") return made(`(${name} IS NULL)`, statistics.nullFraction);
  if (operator === "is not null") return made(`(${name} IS NOT NULL)`, 1 - statistics.nullFraction);
  if (column.baseType === "bool") {
    const [operand] = operands ?? [];
    const equals =
      operator === "=" && operand?.kind === "constant" ? operand.value === "true" || operand.value === "t" : null;
    if (operator === "is true" || equals === true) return made(name, shareOf(column, "t") ?? 0);
    return operator === "is false" || equals === false ? made(`(NOT ${name})`, shareOf(column, "f") ?? 0) : null;
  }
  if ((operator !== "=" && operator !== "in") || operands === null || operands.length > longestList) return null;
  if (statistics.distinct < 0 || statistics.distinct > mostFlagValues) return null;
  const values = operands.map((operand) => {
    const bare = operand.kind === "cast" ? operand.argument : operand;
    const written = constantFor(column, operand);
    return bare.kind === "constant" && written !== null ? { written, share: shareOf(column, bare.value) } : null;
  });
  const share = values.reduce<number | null>((sum, value) => {
    const one = value?.share ?? null;
    return sum === null || one === null ? null : sum + one;
  }, 0);
  if (share === null || share > largestConstantShare) return null;
  const left = column.baseType === "varchar" ? `(${name})::text` : name;
  const written = values.flatMap((value) => value?.written ?? []);
  const [only] = written;
  if (only === undefined) return null;
  return made(written.length === 1 ? `(${left} = ${only})` : `(${left} = ANY (ARRAY[${written.join(", ")}]))`, share);
};

/** The frequency of a value among the most common ones; null where it is none of them. */
const shareOf = (column: Column, value: string): number | null => {
  const statistics = statisticsOf(column);
  const values = arrayElements(statistics?.mostCommonValues ?? "{}");
  const position = values.findIndex((one) => one === value || (one !== null && isSameNumber(column, one, value)));
  return position === -1 ? null : (statistics?.mostCommonFrequencies?.[position] ?? null);
};

const isSameNumber = (column: Column, a: string, b: string): boolean =>
  /^(int|numeric|float)/.test(column.baseType) && Number(a) === Number(b);

/** A column that is null in so many rows that an index of the others is much smaller; any comparison of it proves IS NOT NULL. */
const sparseNulls = 0.5;

export const isSparse = (column: Column): boolean => (statisticsOf(column)?.nullFraction ?? 0) >= sparseNulls;

export const notNull = (column: Column): Predicate => ({
  sql: `(${quoteIdentifier(column.name)} IS NOT NULL)`,
  column: column.name,
  share: 1 - (statisticsOf(column)?.nullFraction ?? 0),
});

/** All of them together, as one predicate. */
export const conjunction = (predicates: readonly Predicate[]): string => {
  const [first] = predicates;
  return predicates.length === 1 && first !== undefined
    ? first.sql
    : `(${predicates.map(({ sql }) => sql).join(" AND ")})`;
};

/** A column that is compared with more constants than this has no frequent ones: the statements' texts only happen to hold its parameter. */
const mostConstants = 3;

export const parameterName = (table: TableName, column: string): string => JSON.stringify([tableId(table), column]);

/** The columns (by `parameterName`) that the workload compares with ever other constants. */
export const varyingColumns = (accesses: Iterable<TableAccess>): ReadonlySet<string> => {
  const seen = new Map<string, Set<string>>();
  for (const { table, conditions } of accesses) {
    for (const { subject, operator, operands } of conditions ?? []) {
      if (subject.kind !== "column" || (operator !== "=" && operator !== "in") || operands === null) continue;
      const name = parameterName(table, subject.column);
      const constants = seen.get(name) ?? new Set<string>();
      seen.set(name, constants);
      if (constants.size <= mostConstants) constants.add(JSON.stringify(operands));
    }
  }
  return new Set([...seen].filter(([, constants]) => constants.size > mostConstants).map(([name]) => name));
};
