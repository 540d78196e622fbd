import { normalQuantile } from "./normal.ts";

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

const centred = (values: readonly number[]): number[] => {
  const mean = sum(values) / Math.max(1, values.length);
  return values.map((value) => value - mean);
};

/** Van der Waerden's normal scores: Φ⁻¹(rank / (n + 1)), ties sharing their mean rank. */
const normalScores = (values: readonly number[]): number[] => {
  const order = [...values.keys()].sort((a, b) => (values[a] ?? 0) - (values[b] ?? 0));
  const scores = Array.from<number>({ length: values.length }).fill(0);
  for (let from = 0; from < order.length;) {
    let to = from;
    while (to + 1 < order.length && values[order[to + 1] ?? 0] === values[order[from] ?? 0]) to += 1;
    const score = normalQuantile(((from + to) / 2 + 1) / (values.length + 1));
    for (let i = from; i <= to; i += 1) scores[order[i] ?? 0] = score;
    from = to + 1;
  }
  return scores;
};

/** Lag-1 autocorrelation pooled over several centred series, each series weighted by its length; 0 where nothing varies. */
const pooledLagOne = (series: readonly (readonly number[])[]): number => {
  let weighted = 0;
  let total = 0;
  for (const values of series) {
    const residuals = centred(values);
    const square = sum(residuals.map((value) => value * value));
    const product = sum(residuals.slice(1).map((value, i) => value * (residuals[i] ?? 0)));
    total += values.length;
    if (square > 0) weighted += (values.length * product) / square;
  }
  return total === 0 ? 0 : weighted / total;
};

/** What φ is taken to be before anything is seen, and how many blocks that belief is worth. */
export interface AutocorrelationPrior {
  readonly phi: number;
  readonly blocks: number;
}

/**
 * Of levels before and after a change, which wander with the time of day and with other load. Weight and value were chosen among a dozen by simulation:
 * false winners stay at the promised rate for φ ≤ 0.8 from eight blocks on, looking after every block, at the smallest loss of power (`bench/verdicts.ts`).
 */
export const wanderingLevels: AutocorrelationPrior = { phi: 0.6, blocks: 20 };

/** Of the difference between two arms that run side by side: what wanders is mostly shared. */
export const wanderingDifference: AutocorrelationPrior = { phi: 0.2, blocks: 10 };

/**
 * An estimate of φ, taking the series as AR(1) with one φ and own means; never below 0.
 *
 * The larger of two estimates, of the values and of their normal scores (one outlier drives the first to zero), each freed
 * of its downward bias −(1 + 4φ)/n per series (Marriott & Pope 1954, Biometrika 41; Kendall 1954, ibid.), then drawn towards
 * the prior. The plain estimate is too small in short series just when it matters (Zwiers & von Storch 1995, J. Climate
 * 8, 336–351), and noise of single calls on top of a wandering level hides the level's φ.
 */
export const lagOneAutocorrelation = (series: readonly (readonly number[])[], prior: AutocorrelationPrior): number => {
  const n = sum(series.map((values) => values.length));
  const k = series.length;
  // The correction of the bias is meaningless for fewer.
  if (n <= 4 * k) return 0.99;
  const unbias = (r: number): number => (r + k / n) / (1 - (4 * k) / n);
  const seen = Math.max(unbias(pooledLagOne(series)), unbias(pooledLagOne(series.map(normalScores))));
  const drawn = (n * seen + prior.blocks * prior.phi) / (n + prior.blocks);
  return Math.min(0.99, Math.max(0, drawn));
};

/**
 * How many independent values an AR(1) series of n values is worth when its mean is estimated:
 * n / (1 + 2 Σₖ (1 − k/n) φᵏ) (Bayley & Hammersley 1946, J. R. Stat. Soc. Suppl. 8, 184–197), in closed form.
 */
export const effectiveSize = (n: number, phi: number): number => {
  const inflation = (1 + phi) / (1 - phi) - (2 * phi * (1 - phi ** n)) / (n * (1 - phi) ** 2);
  return n / inflation;
};
