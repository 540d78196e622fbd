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
