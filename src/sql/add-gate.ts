import type { Node } from "@pgsql/types";
import { type Addition, equalTrees } from "./equal-trees.ts";
import { type Gate, gateCondition } from "./gate.ts";
import { type GatedScan, gatePlaces, type GateSkip, namesTable } from "./gate-places.ts";
import { gateSplices, type Splice, spliced } from "./gate-positions.ts";
import { type ParsedStatement, parseStatement, splitStatements } from "./parser.ts";

export type GateOutcome =
  | {
      readonly kind: "rewritten";
      readonly text: string;
      /** What was put in, in order of position. */
      readonly splices: readonly Splice[];
      /** Whether it is right only as long as the bare name means the table. */
      readonly bareName: boolean;
      /** Scans of the same table that stay without the gate. */
      readonly skipped: readonly GateSkip[];
    }
  /** Scans the table, or may, and must stay as it is. */
  | { readonly kind: "skipped"; readonly reasons: readonly GateSkip[] }
  /** Does not scan the table. */
  | { readonly kind: "untouched" };

/** UTF-16 units. Longer texts are bulk inserts, and reading one would be felt. */
const longest = 20_000;

/**
 * The same statement with the gate's condition at every scan of its table, so that it may use the gated index: same rows, same output. The text is
 * changed by splicing at the parser's positions, and parsed again: a result that is not the original tree with the gate at the intended conjunctions is
 * not given. Never throws for any text. A fraction of a millisecond: keep the outcome per text.
 */
export const addGate = (from: string | ParsedStatement, gate: Gate): GateOutcome => {
  const text = typeof from === "string" ? from : from.text;
  if (!mentions(text, gate.table.name)) return { kind: "untouched" };
  const skipped = (...reasons: readonly GateSkip[]): GateOutcome => ({ kind: "skipped", reasons });
  if (text.length > longest) return skipped("too long");
  if (/\\'/.test(text)) return skipped("backslash before a quote");

  const parsed = typeof from === "string" ? parseStatement(from) : { kind: "parsed" as const, statement: from };
  if (parsed.kind === "unparsable") {
    const parts = splitStatements(text);
    return skipped(parts.kind === "parsed" && parts.parts.length > 1 ? "several statements" : "unparsable");
  }
  const { tree, verb } = parsed.statement;
  if (verb === "utility") return namesTable(tree, gate) ? skipped("not a query") : { kind: "untouched" };
  const places = gatePlaces(tree, gate);
  if (places.scans.length === 0) {
    return places.skipped.length === 0 ? { kind: "untouched" } : skipped(...places.skipped);
  }

  const splices = gateSplices(text, places.scans, ({ alias }) => gateCondition(gate, alias));
  if (splices === null) return skipped("not verified");
  const result = spliced(text, splices);
  const again = parseStatement(result);
  return again.kind === "parsed" && same(again.statement.tree, tree, places.scans, gate)
    ? {
        kind: "rewritten",
        text: result,
        splices,
        bareName: places.scans.some(({ bare }) => bare),
        skipped: places.skipped,
      }
    : skipped("not verified");
};

/** Whether a text can name the table at all: unquoted in any case, or quoted as it is. Far cheaper than parsing. */
export const mentions = (text: string, table: string): boolean =>
  text.includes(table) ||
  text.includes(table.replaceAll('"', '""')) ||
  (table === table.toLowerCase() && text.toLowerCase().includes(table)) ||
  text.includes('U&"');

/** Whether `result` is `original` with the gates as conjuncts at their places, and nothing else. */
const same = (result: Node, original: Node, scans: readonly GatedScan[], gate: Gate): boolean => {
  const added = new Map<object, Addition>();
  for (const { place, alias } of scans) {
    const conditions = [...(added.get(place.holder)?.conditions ?? []), conditionNode(gate, alias)];
    added.set(place.holder, { key: place.key, conditions });
  }
  return equalTrees(result, original, added);
};

/** What the parser makes of {@link gateCondition}. */
const conditionNode = (gate: Gate, alias: string): Node => {
  const arg: Node = { ColumnRef: { fields: [alias, gate.column].map((sval) => ({ String: { sval } })) } };
  const number: Node = { A_Const: { ival: { ival: gate.number } } };
  const when: Node = { CaseWhen: { expr: { NullTest: { arg, nulltesttype: "IS_NULL" } }, result: number } };
  return {
    NullTest: { arg: { CaseExpr: { args: [when], defresult: number } }, nulltesttype: "IS_NOT_NULL" },
  };
};
