import type { TableName } from "../domain/index.ts";
import { quoted } from "./quoted.ts";

/**
 * A condition that is true for every row, and that PostgreSQL cannot prove from any other condition: a partial index with it as its predicate serves
 * only the queries that state it.
 */
export interface Gate {
  readonly table: TableName;
  /** The index's leading key column: read anyway, so that index-only scans and HOT updates stay what they are. */
  readonly column: string;
  /** Tells this gate from others: 1 to 2,147,483,647. Always written as a literal, for a generic plan proves nothing from a parameter. */
  readonly number: number;
  /** Whether the table's name alone, without its schema, means this table in the statements to come. */
  readonly bareName: boolean;
}

const condition = (column: string, number: number): string =>
  `(case when ${column} is null then ${number} else ${number} end) is not null`;

/** The gate as a query states it; `alias` is the name that the query has for the table. */
export const gateCondition = (gate: Gate, alias: string): string =>
  condition(`${quoted(alias)}.${quoted(gate.column)}`, gate.number);

/** The gate as the predicate of its index. */
export const gatePredicate = (gate: Pick<Gate, "column" | "number">): string =>
  condition(quoted(gate.column), gate.number);
