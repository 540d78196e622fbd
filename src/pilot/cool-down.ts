import { formatDuration } from "../config/index.ts";
import { definitionId, type Deployment } from "../domain/index.ts";
import { openSession, sameDefinition } from "../postgres/index.ts";
import { expectedDefinition } from "../rollout/index.ts";
import type { Store } from "../store/index.ts";
import type { PlannedIndex } from "./change-plan.ts";
import { type PilotContext, withSession } from "./target.ts";

/** When what ended may be wanted again, for people and as a time. */
const coolingSince = ({ settings, clock }: PilotContext): number => clock.now().getTime() - settings.coolDownMs;

/** Drops of an index that a person declined, or whose trial brought it back, so lately that it is not proposed again. By the index's OID. */
export const recentlyDeclinedDrops = (
  deployments: readonly Deployment[],
  context: PilotContext,
): ReadonlyMap<number, Deployment> =>
  new Map(
    deployments
      .filter(({ kind, state }) => kind === "drop" && (state === "declined" || state === "rolled_back"))
      .filter(({ updatedAt }) => updatedAt.getTime() >= coolingSince(context))
      .flatMap((one) => (one.indexOid === null ? [] : [[one.indexOid, one] as const])),
  );

/** Those of the dropped indexes that were what is planned, in the server's words. */
const wasDropped = async (
  context: PilotContext,
  create: readonly PlannedIndex[],
  dropped: readonly Deployment[],
): Promise<ReadonlyMap<PlannedIndex, Deployment>> => {
  if (dropped.length === 0 || create.length === 0) return new Map();
  return withSession(openSession(context.observe, "observe"), async (session) => {
    const found = new Map<PlannedIndex, Deployment>();
    for (const planned of create) {
      for (const one of dropped) {
        const expected = await expectedDefinition(session, planned.definition, one.indexName);
        if (sameDefinition(expected, one.definition)) found.set(planned, one);
      }
    }
    return found;
  });
};

/** The planned indexes without those that were rolled back or dropped lately; each that is left out is recorded as refused. */
export const withoutRecentlyRolledBack = async (
  store: Store,
  create: readonly PlannedIndex[],
  context: PilotContext,
): Promise<readonly PlannedIndex[]> => {
  const { coolDownMs } = context.settings;
  const ended = (await store.deployments.list({ states: ["rolled_back", "done"] })).filter(
    ({ updatedAt }) => updatedAt.getTime() >= coolingSince(context),
  );
  const cooling = new Map(
    ended.flatMap((deployment) =>
      deployment.state !== "rolled_back" || deployment.intended === null
        ? []
        : [[definitionId(deployment.intended), deployment] as const],
    ),
  );
  const dropped = await wasDropped(
    context,
    create,
    ended.filter(({ kind, state }) => kind === "drop" && state === "done"),
  );
  const tried = new Map(
    (await store.experiments.list()).flatMap((one) =>
      one.endedAt !== null &&
      one.endedAt.getTime() >= coolingSince(context) &&
      one.verdict !== null &&
      one.winner !== "treatment"
        ? [one.treatment.index].flatMap((index) => (index === null ? [] : [[definitionId(index), one] as const]))
        : [],
    ),
  );
  const wanted: PlannedIndex[] = [];
  for (const planned of create) {
    const id = definitionId(planned.definition);
    const experiment = tried.get(id);
    const onTrial = experiment?.treatment.deploymentId ?? null;
    const earlier =
      cooling.get(id) ?? dropped.get(planned) ?? (onTrial === null ? null : await store.deployments.get(onTrial));
    if (earlier === null) {
      wanted.push(planned);
      continue;
    }
    const ending =
      earlier.state === "done"
        ? "dropped"
        : earlier.state === "declined" && experiment !== undefined
          ? `removed by experiment ${String(experiment.number)}`
          : "rolled back";
    const reason = `${earlier.indexName} was ${ending} on ${earlier.updatedAt.toISOString()}; the same index is not built again within ${formatDuration(coolDownMs)}`;
    context.emit({ kind: "note", text: reason });
    await store.decisions.record({
      at: context.clock.now(),
      subject: "refuse",
      deploymentId: earlier.id,
      rule: "pilot.cool_down",
      outcome: "refused",
      code: "cool_down",
      reason,
      inputs: { definition: earlier.definition, endedAt: earlier.updatedAt.toISOString(), coolDownMs },
    });
  }
  return wanted;
};
