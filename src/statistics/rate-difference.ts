import { logMeanExp } from "./anytime.ts";

/** How often something happened to units that were assigned to two arms by independent draws. */
export interface RandomisedCounts {
  /** Of both arms together. */
  readonly units: number;
  /** Probability with which a unit falls to the treatment; 0 < share < 1. */
  readonly treatmentShare: number;
  /** Units to which it happened, in each arm. */
  readonly treatment: number;
  readonly control: number;
}

/** Bets from nearly all one has (best when nothing ever happens) down to very little (best when it happens often), halving both stake and weight. */
const stakes = Array.from({ length: 10 }, (_, k) => 0.99 * 2 ** -k);
const weights = stakes.map((_, k) => 2 ** -k);

/**
 * ln of the e-value against "the treatment's rate exceeds the control's by `margin` or more".
 *
 * Each unit pays Y = 1/q if it was treated and it happened, −1/(1 − q) if it was not treated and it happened, else 0: whatever the rates are and however
 * they wander and cluster, Y's mean given the past is the difference of the two rates, for the draw alone makes it so (Ham, Bojinov, Lindon & Tingley 2022,
 * arXiv:2210.08639). A gambler who stakes λ on Y being below the margin cannot gain while it is not: ∏(1 + λ(margin − Y)) is a supermartingale, and so
 * is the average over λ (Waudby-Smith & Ramdas 2024, J. R. Statist. Soc. B 86, 1–27, sec. 4).
 */
export const logNonInferiorityEValue = (
  { units, treatmentShare: q, treatment, control }: RandomisedCounts,
  margin: number,
): number => {
  const logs = stakes.map((stake) => {
    const bet = stake / (1 / q - margin);
    // By hand where an arm's term is the stake itself, so that it does not fall below zero by rounding.
    return (
      (units - treatment - control) * Math.log1p(bet * margin) +
      treatment * Math.log1p(-stake) +
      control * Math.log1p(bet * (margin + 1 / (1 - q)))
    );
  });
  return logMeanExp(logs, weights);
};

/**
 * A confidence sequence for (treatment's rate − control's rate): all its intervals hold at once with probability `level`.
 * Each side by inverting {@link logNonInferiorityEValue} at half of 1 − level.
 */
export const rateDifference = (
  counts: RandomisedCounts,
  level: number,
): { readonly low: number; readonly high: number } => {
  const mirrored = {
    ...counts,
    treatmentShare: 1 - counts.treatmentShare,
    treatment: counts.control,
    control: counts.treatment,
  };
  const wanted = -Math.log((1 - level) / 2);
  return { low: -upperBound(mirrored, wanted), high: upperBound(counts, wanted) };
};

const upperBound = (counts: RandomisedCounts, wanted: number): number => {
  const excluded = (margin: number): boolean => logNonInferiorityEValue(counts, margin) >= wanted;
  if (!excluded(1)) return 1;
  let [low, high] = [-1, 1];
  for (let i = 0; i < 60 && high - low > 1e-12; i += 1) {
    const middle = (low + high) / 2;
    if (excluded(middle)) high = middle;
    else low = middle;
  }
  return high;
};
