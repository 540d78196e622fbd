/** A statement's text with its literals and comments taken out. */
export interface Shape {
  /** The same for texts that differ in nothing but literals and comments; itself a statement. */
  readonly key: string;
  /** Turns a position in `key` that is not inside of one into the position in the text. */
  readonly positionInText: (inKey: number) => number;
}

// Names in quotes; strings, with what stands directly before; numbers; comments that hold no other; and what needs the real lexer: other comments,
// dollar quotes, backslashes.
const pieces =
  /"(?:[^"]|"")*"|[\w$&]?'(?:[^']|'')*'|(?<![\w$.])\d+(?:\.\d+)?(?![\w.])|--[^\r\n]*|\/\*(?:(?!\/\*)[^])*?\*\/|\/\*|\$[^\d]|\\/g;

const shortened = (found: string): string | null => {
  const first = found.charAt(0);
  if (first === '"') return found;
  // Whoever traces statements writes another comment into each.
  if (found.startsWith("--")) return "--";
  if (found.endsWith("*/")) return "/**/";
  if (found.includes("\\")) return null;
  if (first === "'") return "''";
  return first >= "0" && first <= "9" && !found.includes("'") ? "1" : null;
};

/**
 * Takes the literals and comments out of a text, far cheaper than parsing it. Strings and numbers stay apart. Null where it cannot be told by a short look what is
 * one: then the text is a shape of its own.
 */
export const shapeOf = (text: string): Shape | null => {
  /** By how much the text is ahead of the key, from a position of the key on. */
  const shifts: { readonly from: number; readonly by: number }[] = [];
  let shift = 0;
  let clear = true;
  const key = text.replaceAll(pieces, (found: string, offset: number) => {
    const short = shortened(found);
    if (short === null) clear = false;
    if (short === null || short === found) return found;
    shift += found.length - short.length;
    shifts.push({ from: offset + found.length - shift, by: shift });
    return short;
  });
  if (!clear) return null;
  return {
    key,
    positionInText: (inKey) => inKey + (shifts.findLast(({ from }) => from <= inKey)?.by ?? 0),
  };
};
