/** What one unit of weight × cost means: milliseconds of the observed period, or planner cost times calls. */
export type WeightUnit = "milliseconds" | "planner cost";

/**
 * Weights such that Σ weight × cost is the workload's time: a measured statement's weight makes its present cost equal its measured total time,
 * so that a plan at half the cost is expected to save half the time. Where any statement was not measured, all are weighted by calls: the two
 * units cannot be added.
 */
export const workloadWeights = (
  statements: readonly { readonly calls: number; readonly totalMs: number | null; readonly costBefore: number }[],
): { readonly unit: WeightUnit; readonly weights: readonly number[] } => {
  if (statements.length > 0 && statements.every((statement) => statement.totalMs !== null)) {
    return {
      unit: "milliseconds",
      weights: statements.map(({ totalMs, costBefore }) => (costBefore > 0 ? (totalMs ?? 0) / costBefore : 0)),
    };
  }
  return { unit: "planner cost", weights: statements.map(({ calls }) => calls) };
};
