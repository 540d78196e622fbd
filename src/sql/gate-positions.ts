import type { Node } from "@pgsql/types";
import type { GatedScan, GatePlace } from "./gate-places.ts";
import { unitsFromBytes } from "./offsets.ts";
import { scan, type Token } from "./tokens.ts";

/** A text to be put into a statement; the position in UTF-16 units of the original. */
export interface Splice {
  readonly at: number;
  readonly insert: string;
}

/** The text with the splices in place; they come in order of position. */
export const spliced = (text: string, splices: readonly Splice[]): string => {
  let result = "";
  let done = 0;
  for (const { at, insert } of splices) {
    result += text.slice(done, at) + insert;
    done = at;
  }
  return result + text.slice(done);
};

/**
 * How to add conditions to the clauses of a statement without touching what is there. Null where a position cannot be found; that the right one was
 * found, only reading the result again can tell.
 */
export const gateSplices = (
  text: string,
  scans: readonly GatedScan[],
  condition: (scan: GatedScan) => string,
): readonly Splice[] | null => {
  const tokens = scan(text).filter((token) => !token.comment);
  const unit = unitsFromBytes(text);
  const indexAt = (byte: number): number => {
    const start = unit(byte);
    return tokens.findIndex((token) => token.start === start);
  };

  const places = new Map<object, GatedScan[]>();
  for (const one of scans) places.set(one.place.holder, [...(places.get(one.place.holder) ?? []), one]);
  const splices: Splice[] = [];
  for (const group of places.values()) {
    const [first] = group;
    if (first === undefined) continue;
    const { place } = first;
    const added = group.map(condition).join(" and ");
    if (place.clause === undefined) {
      const end = endOfFrom(tokens, indexAt(first.location), place.opens);
      if (end === null) return null;
      splices.push({ at: end, insert: ` where ${added} ` });
      continue;
    }
    const keyword = place.key === "whereClause" ? "where" : "on";
    const begin = lastBefore(tokens, indexAt(firstLocation(place.clause)), keyword);
    const word = tokens[begin];
    if (word === undefined) return null;
    if (!isDisjunction(place.clause)) {
      splices.push({ at: word.end, insert: ` ${added} and ` });
      continue;
    }
    const last = tokens[endOfClause(tokens, begin, keyword) - 1];
    if (last === undefined) return null;
    splices.push({ at: word.end, insert: ` ${added} and (` }, { at: last.end, insert: ") " });
  }
  // Where a condition ends, a bracket comes before the WHERE that follows it.
  const closing = ({ insert }: Splice): number => (insert.startsWith(")") ? 0 : 1);
  return splices.toSorted((a, b) => a.at - b.at || closing(a) - closing(b));
};

const isDisjunction = (clause: NonNullable<GatePlace["clause"]>): boolean =>
  "BoolExpr" in clause && clause.BoolExpr.boolop === "OR_EXPR";

// Conditions have no position of their own: the smallest inside of one is near its beginning, with nothing but brackets and NOT before it.
const firstLocation = (clause: Node): number => {
  let smallest = Infinity;
  const visit = (value: object): void => {
    for (const [key, inner] of Object.entries(value) as [string, unknown][]) {
      if (key === "location" && typeof inner === "number" && inner > 0) smallest = Math.min(smallest, inner);
      else if (typeof inner === "object" && inner !== null) visit(inner);
    }
  };
  visit(clause);
  return Number.isFinite(smallest) ? smallest : 0;
};

const lastBefore = (tokens: readonly Token[], from: number, keyword: string): number => {
  for (let i = from; i >= 0; i -= 1) if (tokens[i]?.keyword === keyword) return i;
  return -1;
};

const endsQuery = new Set(
  "where group having window union intersect except order limit offset fetch for returning when".split(" "),
);
const beginsJoin = new Set(["join", "cross", "natural", "on", "using"]);
/** Joins by these words have one of the others behind them; LEFT( and RIGHT( are functions. */
const sides = new Set(["inner", "left", "right", "full"]);

const endsFrom = (tokens: readonly Token[], i: number, depth: number): boolean => {
  const token = tokens[i];
  if (token === undefined || token.depth < depth || (token.depth === depth && token.text === ";")) return true;
  if (token.depth > depth || token.keyword === null) return false;
  return endsQuery.has(token.keyword) || (token.keyword === "on" && tokens[i + 1]?.keyword === "conflict");
};

/** The position behind the FROM clause (of UPDATE and DELETE: behind all before RETURNING) that has token `inside` in it. */
const endOfFrom = (tokens: readonly Token[], inside: number, opens: GatePlace["opens"]): number | null => {
  // From the table outwards, through the brackets around joins.
  let depth = tokens[inside]?.depth ?? -1;
  let begin = inside;
  for (; begin >= 0; begin -= 1) {
    const token = tokens[begin];
    if (token === undefined) return null;
    if (token.depth > depth) continue;
    depth = token.depth;
    // IS DISTINCT FROM, and ROWS FROM (…).
    const before = tokens[begin - 1]?.keyword;
    if (token.keyword === opens && !(opens === "from" && (before === "distinct" || before === "rows"))) break;
  }
  if (begin < 0) return null;
  let end = begin + 1;
  while (!endsFrom(tokens, end, depth)) end += 1;
  return tokens[end - 1]?.end ?? null;
};

/** The token behind the condition that begins at WHERE or ON. */
const endOfClause = (tokens: readonly Token[], begin: number, keyword: "where" | "on"): number => {
  const depth = tokens[begin]?.depth ?? 0;
  let end = begin + 1;
  for (; !endsFrom(tokens, end, depth); end += 1) {
    const token = tokens[end];
    if (keyword === "where" || token === undefined || token.depth !== depth) continue;
    if (token.text === "," || (token.keyword !== null && beginsJoin.has(token.keyword))) break;
    const next = tokens[end + 1]?.keyword;
    if (token.keyword !== null && sides.has(token.keyword) && (next === "join" || next === "outer")) break;
  }
  return end;
};
