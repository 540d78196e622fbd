import type { Node } from "@pgsql/types";
import { fingerprintSync, hasSqlDetails, loadModule, normalizeSync, parseSync } from "libpg-query";
import type { Verb } from "../domain/index.ts";
import { unitsFromBytes, unitsFromCharacters } from "./offsets.ts";
import { scan } from "./tokens.ts";

/** One statement that PostgreSQL's own grammar accepts. */
export interface ParsedStatement {
  readonly text: string;
  /** `utility` is all that is not planned: DDL, SET, COPY, SELECT INTO, EXPLAIN… */
  readonly verb: Verb | "utility";
  readonly tree: Node;
}

export interface Unparsable {
  readonly kind: "unparsable";
  readonly message: string;
  /** Offset of the offending character in UTF-16 units, from 0. */
  readonly cursor: number;
}

export type ParseOutcome = { readonly kind: "parsed"; readonly statement: ParsedStatement } | Unparsable;

/**
 * Bytes. pg_stat_statements keeps texts of any length; beyond this, an analysis would cost seconds and megabytes per snapshot, and such texts
 * are bulk inserts.
 */
export const maximumStatementBytes = 1_000_000;

/** Levels of the tree as JSON. The parser itself runs out of stack at about 5,000, our walks at about as many; no query of a person comes near. */
const maximumDepth = 2_000;
/** No token brings more than four levels, and each takes a character or a space at least: shorter texts need not be measured. */
const shallowLength = maximumDepth / 4;

/** Readies the parser (WebAssembly). Must have resolved once before any other function of this folder is called. */
export const loadParser = (): Promise<void> => loadModule();

const unparsable = (message: string, cursor = 0): Unparsable => ({ kind: "unparsable", message, cursor });

type Tree = { readonly kind: "tree"; readonly statements: readonly { tree: Node; start: number; length: number }[] };

const parseText = (text: string): Tree | Unparsable => {
  if (text.includes("\0")) return unparsable("a NUL character in the text", text.indexOf("\0"));
  if (Buffer.byteLength(text) > maximumStatementBytes) {
    return unparsable(`longer than ${maximumStatementBytes} bytes`, maximumStatementBytes);
  }
  if (text.trim() === "") return { kind: "tree", statements: [] };
  try {
    const statements = (parseSync(text).stmts ?? []).flatMap(({ stmt, stmt_location, stmt_len }) =>
      stmt === undefined ? [] : [{ tree: stmt, start: stmt_location ?? 0, length: stmt_len ?? 0 }],
    );
    if (text.length > shallowLength && statements.some(({ tree }) => deeperThan(tree, maximumDepth))) {
      return unparsable("nested too deeply");
    }
    return { kind: "tree", statements };
  } catch (error) {
    if (hasSqlDetails(error)) {
      return unparsable(error.message, unitsFromCharacters(text, error.sqlDetails?.cursorPosition ?? 0));
    }
    // The stack of the WebAssembly module; it recovers.
    if (error instanceof RangeError) return unparsable("nested too deeply");
    throw error;
  }
};

const deeperThan = (root: object, limit: number): boolean => {
  let level: object[] = [root];
  for (let depth = 0; level.length > 0; depth += 1) {
    if (depth > limit) return true;
    level = level.flatMap((value) =>
      Object.values(value).filter((inner): inner is object => typeof inner === "object" && inner !== null),
    );
  }
  return false;
};

const verbOf = (tree: Node): ParsedStatement["verb"] => {
  if ("SelectStmt" in tree) return tree.SelectStmt.intoClause === undefined ? "select" : "utility";
  if ("InsertStmt" in tree) return "insert";
  if ("UpdateStmt" in tree) return "update";
  if ("DeleteStmt" in tree) return "delete";
  if ("MergeStmt" in tree) return "merge";
  return "utility";
};

/** Parses exactly one statement. Never throws for any text: what the grammar refuses is `unparsable`. */
export const parseStatement = (text: string): ParseOutcome => {
  const outcome = parseText(text);
  if (outcome.kind === "unparsable") return outcome;
  const [first, second] = outcome.statements;
  if (first === undefined) return unparsable("no statement in the text");
  if (second !== undefined)
    return unparsable("more than one statement in the text", unitsFromBytes(text)(second.start));
  return { kind: "parsed", statement: { text, verb: verbOf(first.tree), tree: first.tree } };
};

/** One statement of a longer text. */
export interface StatementPart {
  /** Without the comments and white space around it, and without its semicolon. */
  readonly text: string;
  /** Line of its first token, from 1. */
  readonly line: number;
  /** The comments between the statement before and this one, and those inside of it. */
  readonly comments: readonly string[];
}

/** Takes a text of several statements apart at the parser's own positions. */
export const splitStatements = (
  text: string,
): { readonly kind: "parsed"; readonly parts: readonly StatementPart[] } | Unparsable => {
  const outcome = parseText(text);
  if (outcome.kind === "unparsable") return outcome;
  const unit = unitsFromBytes(text);
  const tokens = scan(text);
  let from = 0;
  const parts = outcome.statements.map(({ start, length }) => {
    const to = length === 0 ? text.length : unit(start + length);
    const own = tokens.filter((token) => token.start >= from && token.end <= to && token.text !== ";");
    from = to;
    const code = own.filter((token) => !token.comment);
    const begin = code[0]?.start ?? unit(start);
    return {
      text: text.slice(begin, code.at(-1)?.end ?? to),
      line: lineAt(text, begin),
      comments: own.filter((token) => token.comment).map((token) => token.text),
    };
  });
  return { kind: "parsed", parts };
};

/** The line, from 1, of an offset in UTF-16 units. */
export const lineAt = (text: string, offset: number): number => text.slice(0, offset).split("\n").length;

// On errors of the lexer the library hands the message back as if it were the result, or throws it.
const guarded = (call: (text: string) => string, text: string): string | null => {
  if (text.trim() === "" || parseText(text).kind === "unparsable") return null;
  return call(text);
};

/** libpg_query's fingerprint, 16 hex digits: the same for texts that differ in literals, spelling, or length of lists only; null when unparsable. */
export const fingerprintOf = (from: string | ParsedStatement): string | null => {
  const result = typeof from === "string" ? guarded(fingerprintSync, from) : fingerprintSync(from.text);
  return result !== null && /^[0-9a-f]{16}$/.test(result) ? result : null;
};

/** The text with `$n` in place of its literals; null when unparsable. */
export const normalise = (text: string): string | null => guarded(normalizeSync, text);
