/**
 * The level at which each hypothesis is tested when the chance of any false rejection among all must stay at `alpha`:
 * the i-th smallest p-value at alpha / (m − i + 1) as long as all before it were rejected; from the first that is not, all
 * at that one's level (Holm 1979, Scand. J. Statist. 6, 65–70). In the order of the input.
 */
export const holmLevels = (pValues: readonly number[], alpha: number): readonly number[] => {
  const order = [...pValues.keys()].sort((a, b) => (pValues[a] ?? 1) - (pValues[b] ?? 1));
  const levels = Array.from<number>({ length: pValues.length }).fill(alpha);
  let stopped: number | null = null;
  for (const [i, index] of order.entries()) {
    const level: number = stopped ?? alpha / (pValues.length - i);
    levels[index] = level;
    if ((pValues[index] ?? 1) > level) stopped = level;
  }
  return levels;
};
