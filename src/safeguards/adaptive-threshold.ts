import type { AdaptiveThreshold } from "../domain/index.ts";

export const emptyThreshold: AdaptiveThreshold = { samples: [], sampledAt: null, holding: false };

/** Numbers of one kind that a threshold follows. */
export interface ThresholdLimits {
  /** Demand up to this is never limited. */
  readonly floor: number;
  /** Demand above this always is. */
  readonly ceiling: number;
  /** How many times the usual peak is allowed. */
  readonly headroom: number;
}

/** The newest so many samples count. */
const SAMPLES = 1000;
/** A thousand of them make a day, so that a limit knows the day's peak at night. */
const SAMPLE_MS = 86_400;
/** Once held back, demand must fall below this part of the limit: a demand that stands at the limit does not switch to and fro. */
const RESUME = 0.8;

/** The p-quantile by nearest rank (the smallest value that at least this share does not exceed); 0 of nothing. */
const quantile = (values: readonly number[], p: number): number =>
  Float64Array.from(values).sort()[Math.max(0, Math.ceil(p * values.length) - 1)] ?? 0;

/** The limit as it is now: hold back above `stopAbove`, go on below `resumeBelow`. Pure. */
export const getAdaptiveThreshold = (
  threshold: AdaptiveThreshold,
  limits: ThresholdLimits,
): { readonly p95: number; readonly stopAbove: number; readonly resumeBelow: number } => {
  const p95 = quantile(threshold.samples, 0.95);
  const stopAbove = Math.min(limits.ceiling, Math.max(limits.floor, p95 * limits.headroom));
  return { p95, stopAbove, resumeBelow: stopAbove * RESUME };
};

/**
 * Records a demand and decides anew whether to hold back. Demand is what was asked for, allowed and rejected together: a limit that learnt from what
 * it let pass would lower itself with everything it rejects. Within the time of one sample the highest counts. Pure.
 */
export const updateAdaptiveThreshold = (
  threshold: AdaptiveThreshold,
  demand: number,
  now: Date,
  limits: ThresholdLimits,
): AdaptiveThreshold => {
  const { samples, sampledAt } = threshold;
  const current =
    sampledAt !== null && now.getTime() - sampledAt.getTime() < SAMPLE_MS
      ? { samples: [...samples.slice(0, -1), Math.max(samples.at(-1) ?? 0, demand)], sampledAt }
      : { samples: [...samples.slice(-(SAMPLES - 1)), demand], sampledAt: now };
  const { stopAbove, resumeBelow } = getAdaptiveThreshold({ ...current, holding: false }, limits);
  return { ...current, holding: threshold.holding ? demand >= resumeBelow && demand > 0 : demand > stopAbove };
};
