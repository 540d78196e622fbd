/**
 * PostgreSQL's parser counts bytes of UTF-8; JavaScript counts UTF-16 units. Returns a function from the one to the other.
 * For a pure ASCII text it is the identity.
 */
export const unitsFromBytes = (text: string): ((byte: number) => number) => {
  // oxlint-disable-next-line no-control-regex -- the range is what ASCII means
  if (/^[\x00-\x7f]*$/.test(text)) return (byte) => byte;
  const units = new Map<number, number>();
  let bytes = 0;
  let unit = 0;
  for (const character of text) {
    units.set(bytes, unit);
    bytes += Buffer.byteLength(character);
    unit += character.length;
  }
  units.set(bytes, unit);
  return (byte) => {
    const found = units.get(byte);
    if (found === undefined) throw new Error(`byte ${byte} is not the beginning of a character`);
    return found;
  };
};

/** Errors of the parser count characters (code points). */
export const unitsFromCharacters = (text: string, characters: number): number =>
  Array.from(text).slice(0, characters).join("").length;
