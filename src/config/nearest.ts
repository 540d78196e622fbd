/** How many letters to insert, delete or replace to make one word of another (Wagner and Fischer 1974). */
const distance = (one: string, other: string): number => {
  let row = Array.from({ length: other.length + 1 }, (_, i) => i);
  for (let i = 1; i <= one.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= other.length; j += 1) {
      const replaced = (row[j - 1] ?? 0) + (one[i - 1] === other[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[other.length] ?? 0;
};

/** The word that was most likely meant; null where none is near (more than two letters in five differ). */
export const nearest = (word: string, known: readonly string[]): string | null => {
  const [best] = known
    .map((candidate) => ({ candidate, cost: distance(word.toLowerCase(), candidate.toLowerCase()) }))
    .toSorted((a, b) => a.cost - b.cost);
  return best !== undefined && best.cost <= Math.max(1, Math.floor(best.candidate.length * 0.4))
    ? best.candidate
    : null;
};
