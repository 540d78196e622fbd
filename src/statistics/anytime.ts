/**
 * How wide an effect is thought to be before anything is seen, in standard deviations of one block: N(0, 1/c²) on the standardised effect, a mixture of
 * such guesses with weights that sum to 1. A weighted mean of e-values is an e-value.
 */
export type EffectPrior = readonly { readonly precision: number; readonly weight: number }[];

/**
 * Before and after a change, with few blocks on each side: an index that matters changes its statements by several standard deviations of a block, and a
 * smaller effect could not be told anyway. The second guess lets a thousandfold be told from five blocks on each side.
 */
export const largeEffect: EffectPrior = [
  { precision: 0.1, weight: 0.85 },
  { precision: 0.003, weight: 0.15 },
];

/**
 * Arms side by side, for as long as it takes: a third of a standard deviation, one, and ten. In the windows of `bench/verdicts.ts` 10 % are a fifth of one and
 * 50 % nine tenths; the last finds the hundredfold within a few windows. Each guess costs the others the logarithm of its weight, and two guesses find what
 * lies between them late: without the middle one, 50 % takes a tenth more windows.
 */
export const anyEffect: EffectPrior = [
  { precision: 10, weight: 0.6 },
  { precision: 1, weight: 0.3 },
  { precision: 0.01, weight: 0.1 },
];

/**
 * ln of the e-value against "the true value is zero", from a t statistic: at whatever times and however often one looks, the chance that it ever exceeds
 * ln(1/alpha) while nothing is there is at most alpha (Ville 1939, Étude critique de la notion de collectif).
 *
 * The Bayes factor with the right-Haar prior on the scale and a normal prior on the standardised effect, which is a test martingale in Gaussian blocks of
 * unknown variance (Lai 1976, Ann. Statist. 4, 265–280; Pérez-Ortiz, Lardy, de Heide & Grünwald 2024, Ann. Statist. 52, 1410–1432; in a regression
 * with nuisance terms, such as the level before a change, Lindon, Ham, Tingley & Bojinov 2022, arXiv:2210.08589):
 * √(c²/(m + c²)) · ((1 + t²/ν) / (1 + (t²/ν) c²/(m + c²)))^((ν+1)/2).
 * @param information m, the number of independent blocks whose mean has the standard error of the estimate
 */
export const logEValue = (t: number, degreesOfFreedom: number, information: number, prior: EffectPrior): number => {
  const square = (t * t) / degreesOfFreedom;
  const logs = prior.map(({ precision }) => {
    const shrink = precision / (information + precision);
    // For a t out of all bounds the ratio is its limit, 1 / shrink.
    const ratio = Number.isFinite(square) ? Math.log1p(square) - Math.log1p(square * shrink) : -Math.log(shrink);
    return 0.5 * Math.log(shrink) + ((degreesOfFreedom + 1) / 2) * ratio;
  });
  return logMeanExp(
    logs,
    prior.map(({ weight }) => weight),
  );
};

/**
 * The t beyond which {@link logEValue} exceeds ln(1/alpha): the half-width, in standard errors, of a confidence sequence, whose intervals hold all at once
 * with probability 1 − alpha. Infinity while so little was seen that nothing could exclude anything.
 */
export const anytimeQuantile = (
  alpha: number,
  degreesOfFreedom: number,
  information: number,
  prior: EffectPrior,
): number => {
  const wanted = -Math.log(alpha);
  const exceeds = (t: number): boolean => logEValue(t, degreesOfFreedom, information, prior) > wanted;
  if (!exceeds(Number.POSITIVE_INFINITY)) return Number.POSITIVE_INFINITY;
  // On ln t, for quantiles are enormous with few degrees of freedom.
  let [low, high] = [Math.log(1e-3), Math.log(1e150)];
  for (let i = 0; i < 200 && high - low > 1e-13; i += 1) {
    const middle = (low + high) / 2;
    if (exceeds(Math.exp(middle))) high = middle;
    else low = middle;
  }
  return Math.exp((low + high) / 2);
};

/** ln of the weighted mean of exp, without overflow. */
export const logMeanExp = (logs: readonly number[], weights: readonly number[]): number => {
  const largest = Math.max(...logs);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return largest + Math.log(logs.reduce((sum, log, i) => sum + (weights[i] ?? 0) * Math.exp(log - largest), 0) / total);
};
