import { formatDuration } from "../config/index.ts";
import { definitionId } from "../domain/index.ts";
import type { Store } from "../store/index.ts";
import type { PlannedIndex } from "./change-plan.ts";
import type { PilotContext } from "./target.ts";

/** The planned indexes without those that were rolled back lately; each that is left out is recorded as refused. */
export const withoutRecentlyRolledBack = async (
  store: Store,
  create: readonly PlannedIndex[],
  context: PilotContext,
): Promise<readonly PlannedIndex[]> => {
  const { coolDownMs } = context.settings;
  const since = context.clock.now().getTime() - coolDownMs;
  const cooling = new Map(
    (await store.deployments.list({ states: ["rolled_back"] }))
      .filter((deployment) => deployment.updatedAt.getTime() >= since)
      .flatMap((deployment) =>
        deployment.intended === null ? [] : [[definitionId(deployment.intended), deployment] as const],
      ),
  );
  const tried = new Map(
    (await store.experiments.list()).flatMap((one) =>
      one.endedAt !== null && one.endedAt.getTime() >= since && one.verdict !== null && one.winner !== "treatment"
        ? [one.treatment.index].flatMap((index) => (index === null ? [] : [[definitionId(index), one] as const]))
        : [],
    ),
  );
  const wanted: PlannedIndex[] = [];
  for (const planned of create) {
    const id = definitionId(planned.definition);
    const experiment = tried.get(id);
    const onTrial = experiment?.treatment.deploymentId ?? null;
    const earlier = cooling.get(id) ?? (onTrial === null ? null : await store.deployments.get(onTrial));
    if (earlier === null) {
      wanted.push(planned);
      continue;
    }
    const what =
      experiment === undefined ? "was rolled back" : `was removed by experiment ${String(experiment.number)}`;
    const reason = `${earlier.indexName} ${what} on ${earlier.updatedAt.toISOString()}; the same index is not built again within ${formatDuration(coolDownMs)}`;
    context.emit({ kind: "note", text: reason });
    await store.decisions.record({
      at: context.clock.now(),
      subject: "refuse",
      deploymentId: earlier.id,
      rule: "pilot.cool_down",
      outcome: "refused",
      code: "cool_down",
      reason,
      inputs: { definition: earlier.definition, rolledBackAt: earlier.updatedAt.toISOString(), coolDownMs },
    });
  }
  return wanted;
};
