/** A statement's text with its literals and comments taken out. */
export interface Shape {
  /** The same for texts that differ in nothing but literals and comments; itself a statement. */
  readonly key: string;
  /** Turns a position in `key` that is not inside of one into the position in the text. */
  readonly positionInText: (inKey: number) => number;
}

const code = (character: string): number => character.charCodeAt(0);
const [tab, space, quote, name, dollar, point, slash, star, minus, backslash, ampersand] = [
  "\t",
  " ",
  "'",
  '"',
  "$",
  ".",
  "/",
  "*",
  "-",
  "\\",
  "&",
].map(code) as [number, number, number, number, number, number, number, number, number, number, number];
const isDigit = (c: number): boolean => c >= 48 && c <= 57;
/** Letters, digits, `_`, and whatever is not ASCII: what names are made of. */
const isWord = (c: number): boolean =>
  (c >= 97 && c <= 122) || (c >= 65 && c <= 90) || isDigit(c) || c === 95 || c > 127;

/**
 * Takes the literals and comments out of a text, far cheaper than parsing it. Strings and numbers stay apart. Null where a short look cannot tell what is
 * one (dollar quotes, escapes, strings with a prefix, comments in comments): then the text is a shape of its own.
 */
export const shapeOf = (text: string): Shape | null => {
  let key = "";
  let done = 0;
  /** By how much the text is ahead of the key, from a position of the key on. */
  let shifts: { readonly from: number; readonly by: number }[] | null = null;
  const { length } = text;
  let i = 0;
  while (i < length) {
    const c = text.charCodeAt(i);
    const start = i;
    let short: string | null = null;
    i += 1;
    if (c === space || c === tab) continue;
    if (isDigit(c)) {
      while (isDigit(text.charCodeAt(i))) i += 1;
      if (text.charCodeAt(i) === point && isDigit(text.charCodeAt(i + 1))) {
        i += 1;
        while (isDigit(text.charCodeAt(i))) i += 1;
      }
      const next = text.charCodeAt(i);
      if (next === quote) return null;
      // Otherwise 1e5, 0x1F, 1_000: rare, and kept.
      if (!isWord(next) && next !== point && next !== dollar) short = "1";
      else while (isWord(text.charCodeAt(i))) i += 1;
    } else if (isWord(c)) {
      let next = text.charCodeAt(i);
      while (isWord(next) || next === dollar) next = text.charCodeAt((i += 1));
      if (next === quote) return null;
    } else if (c === quote) {
      for (;;) {
        i = text.indexOf("'", i) + 1;
        if (i === 0) return null;
        if (text.charCodeAt(i) !== quote) break;
        i += 1;
      }
      const found = text.indexOf("\\", start);
      if (found !== -1 && found < i) return null;
      short = "''";
    } else if (c === name) {
      i = text.indexOf('"', i) + 1;
      if (i === 0) return null;
    } else if (c === dollar) {
      if (!isDigit(text.charCodeAt(i))) return null;
      while (isDigit(text.charCodeAt(i))) i += 1;
    } else if (c === point) {
      while (isDigit(text.charCodeAt(i))) i += 1;
    } else if (c === minus && text.charCodeAt(i) === minus) {
      const end = text.slice(i).search(/[\r\n]/);
      i = end === -1 ? length : i + end;
      short = "--";
    } else if (c === slash && text.charCodeAt(i) === star) {
      i = text.indexOf("*/", i + 1) + 2;
      const nested = text.indexOf("/*", start + 2);
      if (i === 1 || (nested !== -1 && nested < i)) return null;
      short = "/**/";
    } else if (c === backslash || (c === ampersand && text.charCodeAt(i) === quote)) return null;

    if (short === null) continue;
    key += text.slice(done, start) + short;
    if (short.length !== i - start) (shifts ??= []).push({ from: key.length, by: i - key.length });
    done = i;
  }
  const moved = shifts ?? [];
  return {
    key: done === 0 ? text : key + text.slice(done),
    positionInText: (inKey) => inKey + (moved.findLast(({ from }) => from <= inKey)?.by ?? 0),
  };
};
