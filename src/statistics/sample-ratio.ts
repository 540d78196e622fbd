import { logGamma } from "./special.ts";

/** How near to the promised shares a broken split is thought to be: as near as a sample of this many units. */
const concentration = 100;

/**
 * An anytime-valid p-value of "every unit fell to an arm with the promised probability": 1 / e-value of the multinomial against a Dirichlet mixture around
 * the promised shares (Lindon & Malek 2022, Anytime-valid inference for multinomial count data, NeurIPS 35, eq. 7). Counted are units of assignment
 * (transactions, requests), never calls: those of one unit share its arm.
 * @param counts units per arm
 * @param shares promised, in the same order; they sum to 1
 */
export const sampleRatioPValue = (counts: readonly number[], shares: readonly number[]): number => {
  const total = counts.reduce((sum, count) => sum + count, 0);
  let log = logGamma(concentration) - logGamma(concentration + total);
  for (const [i, count] of counts.entries()) {
    const share = shares[i] ?? 0;
    if (share === 0 && count > 0) return 0;
    if (share === 0) continue;
    log += logGamma(concentration * share + count) - logGamma(concentration * share) - count * Math.log(share);
  }
  return Math.min(1, Math.exp(-log));
};
