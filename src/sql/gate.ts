import type { TableName, TrialGate } from "../domain/index.ts";
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

// As `condition` writes it, with what pg_stat_statements puts in place of constants.
const name = '"(?:[^"]|"")+"';
const number = String.raw`(?:\d+|\$\d+)`;
const stated = String.raw`\(case when ${name}\.${name} is null then ${number} else ${number} end\) is not null`;
const amongOthers = new RegExp(` (?:${stated} and )+`, "g");
const alone = new RegExp(` where ${stated}(?: and ${stated})* ?`, "g");

/**
 * The statement as the application sent it, of one that states gates: what `addGate` put in is taken out, also from a normalised text, whose parameters keep
 * their numbers. Null for a text that states none.
 */
export const withoutGates = (text: string): string | null => {
  if (!text.includes(" end) is not null")) return null;
  const plain = text.replaceAll(amongOthers, " ").replaceAll(alone, " ");
  return plain === text ? null : plain;
};

/** The gate as the predicate of its index. */
export const gatePredicate = (gate: TrialGate): string =>
  "number" in gate ? condition(quoted(gate.column), gate.number) : `${quoted(gate.column)} <= ${gate.upTo}`;

/**
 * The predicate of a gated index as `pg_get_indexdef` writes it; `where` is what the index has besides, as the server writes that.
 * @param column as the server quotes it
 */
export const gatedPredicateText = (column: string, of: TrialGate, where: string | undefined): string => {
  const gate =
    "number" in of
      ? `(\nCASE\n    WHEN (${column} IS NULL) THEN ${of.number}\n    ELSE ${of.number}\nEND IS NOT NULL)`
      : `(${column} <= ${of.upTo})`;
  if (where === undefined) return gate;
  // The server makes one conjunction of what are two.
  return isConjunction(where) ? `${where.slice(0, -1)} AND ${gate})` : `(${where} AND ${gate})`;
};

/** Whether the outermost of the parentheses holds a conjunction: the server puts each part of one in parentheses of its own. */
const isConjunction = (where: string): boolean => {
  let depth = 0;
  let quote: string | null = null;
  for (let at = 0; at < where.length; at += 1) {
    const character = where[at] ?? "";
    if (quote !== null) quote = character === quote ? null : quote;
    else if (character === "'" || character === '"') quote = character;
    else if (character === "(") depth += 1;
    else if (character === ")") depth -= 1;
    else if (depth === 1 && where.startsWith(" AND ", at)) return true;
  }
  return false;
};
