import { scanSync } from "libpg-query";
import { unitsFromBytes } from "./offsets.ts";

/** One lexical token; offsets in UTF-16 units. */
export interface Token {
  readonly start: number;
  readonly end: number;
  /** As written. */
  readonly text: string;
  /** In lower case where the grammar knows the word (reserved or not), else null. */
  readonly keyword: string | null;
  /** The n of `$n`, else null. */
  readonly parameter: number | null;
  readonly comment: boolean;
  /** How many parentheses, brackets and CASEs enclose it; an opening one has the depth outside of it. */
  readonly depth: number;
}

// The library writes control characters into its JSON as they are, which is no JSON. Only literals, names, comments and white space can hold them.
const withoutControls = (text: string): string =>
  // oxlint-disable-next-line no-control-regex -- they are what is meant
  text.replaceAll(/[\v\f]/g, " ").replaceAll(/[\x01-\x08\x0e-\x1f]/g, "x");

/** The tokens of a text that is known to parse, comments included. */
export const scan = (text: string): readonly Token[] => {
  // The library knows no empty text.
  if (text.trim() === "") return [];
  const unit = unitsFromBytes(text);
  const tokens: Token[] = [];
  let depth = 0;
  for (const raw of scanSync(withoutControls(text)).tokens) {
    const start = unit(raw.start);
    const end = unit(raw.end);
    const written = text.slice(start, end);
    // The library names every keyword UNKNOWN; what kind of keyword it is tells them from operators. After a dot it is a name: `booking.end`.
    const keyword = raw.keywordName === "NO_KEYWORD" || tokens.at(-1)?.text === "." ? null : written.toLowerCase();
    if (written === ")" || written === "]" || keyword === "end") depth -= 1;
    tokens.push({
      start,
      end,
      text: written,
      keyword,
      parameter: raw.tokenName === "PARAM" ? Number(written.slice(1)) : null,
      comment: raw.tokenName === "SQL_COMMENT" || raw.tokenName === "C_COMMENT",
      depth,
    });
    if (written === "(" || written === "[" || keyword === "case") depth += 1;
  }
  return tokens;
};

/** PostgreSQL 18 shows a list as `in ($1 ...)` with this inside. */
const squashMark = "/*, ... */";

/** A text that is known to parse, without its comments: applications write what they like into them. */
export const withoutComments = (text: string): string => {
  let result = "";
  let done = 0;
  for (const token of scan(text)) {
    if (!token.comment || token.text === squashMark) continue;
    // One may stand between two words with nothing else there.
    result += `${text.slice(done, token.start)} `;
    done = token.end;
  }
  return (result + text.slice(done)).trim();
};

/**
 * Puts texts in place of the parameters `$n` of a statement. `squashed` says that the one parameter stands for a whole list.
 */
export const substituteParameters = (
  text: string,
  replacement: (parameter: number, squashed: boolean) => string,
): string => {
  let result = "";
  let done = 0;
  const tokens = scan(text);
  tokens.forEach((token, i) => {
    if (token.parameter === null) return;
    const squashed = tokens[i + 1]?.text === squashMark;
    result += text.slice(done, token.start) + replacement(token.parameter, squashed);
    done = token.end;
  });
  return result + text.slice(done);
};
