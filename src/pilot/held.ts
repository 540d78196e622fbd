import type { Deployment, Experiment } from "../domain/index.ts";
import type { Store } from "../store/index.ts";

/** Deployments that belong to experiments that are open: nobody else builds, judges or declines them. */
export const heldByExperiments = async (store: Store): Promise<ReadonlySet<string>> =>
  new Set(
    (await store.experiments.open()).flatMap(({ control, treatment }) =>
      [control, treatment].flatMap(({ deploymentId, gate }) => [
        ...(deploymentId === null ? [] : [deploymentId]),
        ...(gate === null ? [] : [gate.deploymentId]),
      ]),
    ),
  );

/** The open experiment that this deployment's index is on trial in: it comes and goes with that. Null: in none. */
export const experimentOf = async (store: Store, { id }: Pick<Deployment, "id">): Promise<Experiment | null> =>
  (await store.experiments.open()).find(({ control, treatment }) =>
    [control, treatment].some(({ gate }) => gate?.deploymentId === id),
  ) ?? null;

/** Indexes that stand behind gates in the experiment that this deployment is the outcome of. */
export const trialsFor = async (store: Store, { id }: Pick<Deployment, "id">): Promise<readonly Deployment[]> => {
  const experiment = (await store.experiments.open()).find(({ control, treatment }) =>
    [control, treatment].some(({ deploymentId }) => deploymentId === id),
  );
  if (experiment === undefined) return [];
  const ids = new Set([experiment.control, experiment.treatment].map(({ gate }) => gate?.deploymentId));
  return (await store.deployments.list({ states: ["verifying", "rolling_back"] })).filter((one) => ids.has(one.id));
};

/** How a person ends that. */
export const howToEnd = ({ number }: Pick<Experiment, "number">): string =>
  `\`indexpilot experiment stop ${String(number)}\` ends the experiment and removes what was built for it`;
