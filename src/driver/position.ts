import type { GatedText } from "./reading.ts";

/** PostgreSQL counts characters, a text's length is in UTF-16 units. */
const characters = (text: string): number => Array.from(text).length;

/** Makes the server's error over a text with the gate say where the error is in the original; what is within the gate is where the gate begins. */
export const locateInOriginal = (error: unknown, { text, splices }: GatedText): void => {
  const told = error as { position?: unknown } | null | undefined;
  if (typeof told?.position !== "string") return;
  const at = Number(told.position) - 1;
  let original = at;
  let inserted = 0;
  for (const splice of splices) {
    const start = characters(text.slice(0, splice.at + inserted));
    if (start > at) break;
    original -= Math.min(characters(splice.insert), at - start);
    inserted += splice.insert.length;
  }
  told.position = String(original + 1);
};
