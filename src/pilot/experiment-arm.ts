import { randomUUID } from "node:crypto";
import {
  type ArmName,
  armNames,
  type Deployment,
  type Experiment,
  gateNumber,
  type Objection,
  type TrialGate,
} from "../domain/index.ts";
import { IndexPilotError } from "../errors.ts";
import { advance, type DropOutcome, findRebuilt, proposeIndex, takeBack } from "../rollout/index.ts";
import { buildOne } from "./build-one.ts";
import { AGAIN_MS, type Conducting } from "./conducting.ts";
import { ensureDeployment } from "./experiments.ts";
import type { Rollout } from "./rollout-context.ts";

type Gated =
  | { readonly kind: "stands"; readonly deployment: Deployment }
  | { readonly kind: "waits"; readonly reason: string }
  | { readonly kind: "failed"; readonly reason: string };

/** Builds an arm's index behind its gate, unless it stands. */
export const buildGated = async (conducting: Conducting, experiment: Experiment, arm: ArmName): Promise<Gated> => {
  const { rollout, session } = conducting;
  const { store, clock } = rollout;
  const { index, gate } = experiment[arm];
  if (index === null || gate === null) throw new Error("an arm without an index has no gate");
  const plain = await ensureDeployment(rollout, session, experiment, arm);
  let deployment = await store.deployments.get(gate.deploymentId);
  if (deployment === null) {
    const proposed = proposeIndex({
      id: gate.deploymentId,
      definition: { ...index, gate: trialGate(experiment, arm, gate) },
      tableOid: experiment.tableOid,
      predictedBytes: plain?.predictedBytes ?? null,
      rationale: {
        statementIds: [],
        costBefore: null,
        costAfter: null,
        reason: `on trial: the ${arm} of experiment ${String(experiment.number)}`,
        ...(plain?.rationale.prediction === undefined ? {} : { prediction: plain.rationale.prediction }),
      },
      now: clock.now(),
    });
    await store.deployments.insert(proposed, { event: "propose", actor: experiment.actor });
    deployment = proposed;
  }
  if (deployment.state === "proposed") {
    const detail = { by: experiment.actor, reason: "who wanted the experiment" };
    const approved = await advance(rollout, deployment, "approve", { actor: experiment.actor, detail });
    if (approved === null) return { kind: "waits", reason: "another process took it up" };
    deployment = approved;
  }
  const built = await carryTo(conducting, deployment);
  if (built.kind !== "failed" || !built.mayRepeat) return built;
  // Its process was killed, or the server went down: nothing is known against it.
  const again = { ...gate, deploymentId: randomUUID() };
  await store.experiments.advance(experiment, { [arm]: { ...experiment[arm], gate: again } });
  return { kind: "waits", reason: `${built.reason}; it is built again` };
};

const trialGate = (
  experiment: Experiment,
  arm: ArmName,
  { column, upTo }: NonNullable<Experiment[ArmName]["gate"]>,
): TrialGate => (upTo === undefined ? { column, number: gateNumber(experiment, arm) } : { column, upTo });

/** Carries an approved deployment to where its index stands. */
export const carryTo = async (
  { context, rollout, notBefore }: Conducting,
  deployment: Deployment,
): Promise<Gated & { readonly mayRepeat?: boolean }> => {
  const { clock, store } = rollout;
  const now = clock.now().getTime();
  const { state, indexName } = deployment;
  if (state === "verifying" || state === "settled") return { kind: "stands", deployment };
  if (state === "building") return { kind: "waits", reason: `${indexName} is being built` };
  if (state === "failed") {
    const last = (await store.deployments.history(deployment.id)).at(-1);
    // Said by whoever took up what a killed process had left.
    const wasLost = last?.detail["result"] !== undefined;
    return { kind: "failed", reason: `${indexName} could not be built`, mayRepeat: wasLost };
  }
  if (state !== "approved") return { kind: "failed", reason: `${indexName} is ${state.replaceAll("_", " ")}` };
  if ((notBefore.get(deployment.id) ?? 0) > now) return { kind: "waits", reason: `${deployment.indexName} waits` };
  context.emit({ kind: "step", text: `building ${deployment.indexName}` });
  const outcome = await buildOne(context, rollout, deployment);
  switch (outcome.kind) {
    case "built":
      return { kind: "stands", deployment: outcome.deployment };
    case "refused":
    case "deferred":
      notBefore.set(deployment.id, retryOf(outcome, now));
      return { kind: "waits", reason: outcome.reason };
    case "interrupted":
      return { kind: "waits", reason: "interrupted" };
    case "failed":
      return { kind: "failed", reason: outcome.reason };
  }
};

export const retryOf = ({ retryAt }: Pick<Objection, "retryAt">, now: number): number =>
  retryAt?.getTime() ?? now + AGAIN_MS;

/** Somebody dropped an arm's index. */
export const missingArm = async ({ rollout }: Conducting, experiment: Experiment): Promise<string | null> => {
  for (const arm of armNames) {
    const { gate } = experiment[arm];
    const deployment = gate === null ? null : await rollout.store.deployments.get(gate.deploymentId);
    if (deployment === null || deployment.indexOid === null) continue;
    const found = await rollout.build.query(
      "select from pg_catalog.pg_index where indexrelid = $1 and indrelid = $2 and indisvalid",
      [deployment.indexOid, deployment.tableOid],
    );
    if (found.length === 0 && (await findRebuilt(rollout, deployment)) === null) {
      return `${deployment.indexName}, the index of the ${arm}, is gone`;
    }
  }
  return null;
};

/** What cannot be proved ours stays, and is no reason to leave other experiments alone. */
export const takeBackGated = async (rollout: Rollout, gated: Deployment, reason: string): Promise<DropOutcome> => {
  try {
    return await takeBack({ ...rollout, deployment: gated, reason });
  } catch (error) {
    if (!(error instanceof IndexPilotError) || error.code !== "index_not_ours") throw error;
    const rebuilt = await findRebuilt(rollout, gated);
    if (rebuilt !== null) return takeBack({ ...rollout, deployment: rebuilt, reason });
    return { kind: "refused", code: error.code, reason: `${error.message}; ${error.remedy}`, retryAt: null };
  }
};
