import {
  type ChosenIndex,
  type DeclinedCandidate,
  describeIndex,
  type IndexDefinition,
  type Statement,
  tableId,
} from "../domain/index.ts";
import { failure } from "../errors.ts";
import { renderCreateIndex } from "../postgres/index.ts";
import { type Advice, queryName } from "./advice.ts";

/** What a person asked to have explained. */
export type Explicandum =
  | {
      readonly kind: "index";
      /** Its place in the list, from 1. */
      readonly number: number;
      readonly chosen: ChosenIndex;
      /** Candidates on its table that were not chosen. */
      readonly others: readonly DeclinedCandidate[];
    }
  | { readonly kind: "declined"; readonly declined: DeclinedCandidate }
  | {
      readonly kind: "query";
      readonly statement: Statement;
      /** The indexes that serve it, and the candidates for it that were not chosen. */
      readonly chosen: readonly ChosenIndex[];
      readonly others: readonly DeclinedCandidate[];
    };

/** A fingerprint's beginning of fewer digits is more likely the number of an index, or a word. */
const leastDigits = 4;

/**
 * What of the advice is meant: an index by its number in the list or by its definition (`orders (customer_id)`, or the whole statement), or a query by its
 * file, its name or the beginning of its fingerprint. @throws IndexPilotError `usage` when nothing of it answers to that, or several things do
 */
export const findExplicandum = (advice: Advice, asked: string): Explicandum => {
  const { create, declined } = advice.configuration;
  const text = bare(asked);
  const meant = (definition: IndexDefinition): boolean =>
    [
      describeIndex(definition),
      renderCreateIndex(definition, null, { concurrently: true }),
      renderCreateIndex(definition, null, { concurrently: false }),
    ].some((name) => bare(name) === text);
  const number = /^\d{1,3}$/.test(asked) ? Number(asked) : create.findIndex(({ index }) => meant(index.definition)) + 1;
  const chosen = create[number - 1];
  if (chosen !== undefined) {
    const table = tableId(chosen.index.definition.table);
    const others = declined.filter(({ definition }) => tableId(definition.table) === table);
    return { kind: "index", number, chosen, others };
  }
  const other = declined.find(({ definition }) => meant(definition));
  if (other !== undefined) return { kind: "declined", declined: other };

  const isFingerprint = new RegExp(`^[0-9a-f]{${String(leastDigits)},16}$`).test(text);
  const { statements } = advice.workload;
  const exact = statements.filter((one) => text === bare(queryName(advice, one.id)) || text === bare(one.label));
  const found =
    exact.length > 0 ? exact : statements.filter((one) => isFingerprint && one.fingerprint.startsWith(text));
  const [statement, second] = found;
  if (statement === undefined || second !== undefined) {
    throw failure("usage", {
      problem:
        statement === undefined
          ? `nothing in the advice is called "${asked}"`
          : `"${asked}" may be any of ${String(found.length)} queries: ${found
              .slice(0, 3)
              .map(({ id }) => queryName(advice, id))
              .join(", ")}…`,
      hint: "give an index's number in the list or its columns, as in `orders (customer_id)`, or a query's file or the beginning of its fingerprint",
    });
  }
  return {
    kind: "query",
    statement,
    chosen: create.filter(({ statementIds }) => statementIds.includes(statement.id)),
    others: declined.filter(({ statementIds }) => statementIds.includes(statement.id)),
  };
};

const bare = (text: string): string => text.trim().replace(/;$/, "").replaceAll(/\s+/g, " ").toLowerCase();
