import type { Node } from "@pgsql/types";
import { parseStatement } from "./parser.ts";
import { quoted } from "./quoted.ts";
import { scan, type Token } from "./tokens.ts";

/**
 * A SELECT that scans and joins as the given statement does before it writes or locks: what a role without write privileges can EXPLAIN instead of an
 * UPDATE, DELETE, MERGE, INSERT … SELECT or SELECT … FOR UPDATE. A SELECT without locks comes back as it is.
 * Null where there is none: INSERT … VALUES, WHERE CURRENT OF, writes inside of WITH, and texts that cannot be parsed.
 */
export const toSelect = (sql: string): string | null => {
  const parsed = parseStatement(sql);
  if (parsed.kind === "unparsable" || parsed.statement.verb === "utility") return null;
  const { tree, verb } = parsed.statement;
  const tokens = scan(sql).filter((token) => !token.comment && token.text !== ";");
  const unlocked = verb === "select" ? sql : asSelect(sql, tree, tokens);
  const select =
    unlocked !== null && JSON.stringify(tree).includes('"lockingClause":') ? withoutLocks(unlocked) : unlocked;
  if (select === null) return null;

  const again = parseStatement(select);
  if (again.kind === "unparsable" || again.statement.verb !== "select") return null;
  const text = JSON.stringify(again.statement.tree);
  if (/"(lockingClause|InsertStmt|UpdateStmt|DeleteStmt|MergeStmt|CurrentOfExpr)":/.test(text)) return null;
  return conditionOf(tree) === conditionOf(again.statement.tree) ? select : null;
};

// What selects the rows, as text without positions: it must be the same before and after.
const conditionOf = (tree: Node): string | undefined => {
  if ("SelectStmt" in tree) {
    const [item] = tree.SelectStmt.fromClause ?? [];
    const merged = item !== undefined && "JoinExpr" in item && item.JoinExpr.alias === undefined;
    return stripped(tree.SelectStmt.whereClause ?? (merged ? item.JoinExpr.quals : undefined));
  }
  if ("UpdateStmt" in tree) return stripped(tree.UpdateStmt.whereClause);
  if ("DeleteStmt" in tree) return stripped(tree.DeleteStmt.whereClause);
  if ("MergeStmt" in tree) return stripped(tree.MergeStmt.joinCondition);
  if ("InsertStmt" in tree) return tree.InsertStmt.selectStmt && conditionOf(tree.InsertStmt.selectStmt);
  return undefined;
};

const stripped = (node: Node | undefined): string | undefined =>
  node &&
  JSON.stringify(node, (key: string, value: unknown) =>
    /^(location|rexpr_list_start|rexpr_list_end|lockingClause)$/.test(key) ? undefined : value,
  );

const asSelect = (sql: string, tree: Node, tokens: readonly Token[]): string | null => {
  const top = tokens.map((token) => (token.depth === 0 ? token.keyword : null));
  const find = (word: string, from: number): number => top.indexOf(word, from);
  const end = tokens.at(-1)?.end ?? sql.length;
  /** The text from token i (its end if `after`) up to token j, or to the end where j is −1. */
  const between = (i: number, j: number): string => {
    const from = tokens[i];
    return from === undefined ? "" : sql.slice(from.end, j === -1 ? end : tokens[j]?.start).trim();
  };
  const first = (...found: readonly number[]): number => Math.min(...found.filter((i) => i >= 0), tokens.length);
  const at = (i: number): number => (i >= tokens.length ? -1 : i);

  if ("UpdateStmt" in tree) {
    const { relation } = tree.UpdateStmt;
    const update = find("update", 0);
    const set = find("set", update);
    const returning = find("returning", set);
    const where = find("where", set);
    let from = find("from", set);
    while (from > 0 && top[from - 1] === "distinct") from = find("from", from + 1);
    if (where >= 0 && from > where) from = -1;
    const others = from < 0 ? "" : `, ${between(from, at(first(where, returning)))}`;
    const condition = where < 0 ? "" : ` where ${between(where, returning)}`;
    return `${sql.slice(0, tokens[update]?.start)}select ${ctid(relation)} from ${between(update, set)}${others}${condition}`;
  }
  if ("DeleteStmt" in tree) {
    const { relation, usingClause } = tree.DeleteStmt;
    const start = find("delete", 0);
    const from = find("from", start);
    const using = usingClause === undefined ? -1 : find("using", from);
    const where = find("where", from);
    const returning = find("returning", from);
    const others = using < 0 ? "" : `, ${between(using, at(first(where, returning)))}`;
    const condition = where < 0 ? "" : ` where ${between(where, returning)}`;
    return `${sql.slice(0, tokens[start]?.start)}select ${ctid(relation)} from ${between(from, at(first(using, where, returning)))}${others}${condition}`;
  }
  if ("MergeStmt" in tree) {
    const { relation, mergeWhenClauses } = tree.MergeStmt;
    const start = find("merge", 0);
    const into = find("into", start);
    const using = find("using", into);
    const when = find("when", using);
    const on = top.lastIndexOf("on", when);
    // Rows of the source without a partner matter only where something is inserted for them.
    const inserts = (mergeWhenClauses ?? []).some(
      (node) => "MergeWhenClause" in node && node.MergeWhenClause.matchKind === "MERGE_WHEN_NOT_MATCHED_BY_TARGET",
    );
    return `${sql.slice(0, tokens[start]?.start)}select ${ctid(relation)} from ${between(using, on)} ${inserts ? "left " : ""}join ${between(into, using)} on ${between(on, when)}`;
  }
  if ("InsertStmt" in tree) {
    const into = find("into", find("insert", 0));
    const select = find("select", into);
    if (select < 0 || (tree.InsertStmt.selectStmt && !("SelectStmt" in tree.InsertStmt.selectStmt))) return null;
    const inner = find("with", into);
    const begin = inner >= 0 && inner < select ? inner : select;
    const conflict = top.findIndex((word, i) => i > select && word === "on" && top[i + 1] === "conflict");
    const stop = at(first(conflict, find("returning", select)));
    return `${sql.slice(0, tokens[find("insert", 0)]?.start)}${tokens[begin]?.text ?? ""} ${between(begin, stop)}`;
  }
  return null;
};

// The row's address cannot come from an index, so the table is visited as a write would.
const ctid = (relation: { relname?: string; alias?: { aliasname?: string } } | undefined): string =>
  `${quoted(relation?.alias?.aliasname ?? relation?.relname ?? "")}.ctid`;

const strengths = new Set(["update", "share", "no", "key"]);
const lockWords = new Set([...strengths, "of", "nowait", "skip", "locked"]);

/** Cuts out FOR UPDATE and its kin at every level. */
const withoutLocks = (sql: string): string => {
  const tokens = scan(sql).filter((token) => !token.comment);
  let result = "";
  let done = 0;
  for (let i = 0; i < tokens.length; i += 1) {
    if (tokens[i]?.keyword !== "for" || !strengths.has(tokens[i + 1]?.keyword ?? "")) continue;
    let last = i + 1;
    let inNames = false;
    for (let next = tokens[last + 1]; next !== undefined; next = tokens[last + 1]) {
      const isName = inNames && (next.keyword === null ? /^[\w".,$\u0080-\uffff]/.test(next.text) : next.text !== ")");
      const word = next.keyword ?? "";
      if (!lockWords.has(word) && (!isName || /^(for|limit|offset|fetch|union|except|intersect)$/.test(word))) break;
      if (word === "of") inNames = true;
      last += 1;
    }
    result += sql.slice(done, tokens[i]?.start);
    done = tokens[last]?.end ?? sql.length;
    i = last;
  }
  return (result + sql.slice(done)).trim();
};
