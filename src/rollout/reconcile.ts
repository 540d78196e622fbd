import type { Deployment } from "../domain/index.ts";
import { failure, IndexPilotError } from "../errors.ts";
import { whyRejected } from "./build.ts";
import { askConsent, type Consent, leftoverPatienceOf } from "./context.ts";
import type { DropOutcome } from "./drop.ts";
import { dropStanding } from "./drop-standing.ts";
import { finish } from "./finish.ts";
import { isIdle } from "./idle.ts";
import { waitForBackend, type WaitOptions } from "./outlived.ts";
import { continueParts, isInParts } from "./partitioned.ts";
import { promote } from "./promote.ts";
import { describeSqlState } from "./reasons.ts";
import { finishReindex, inspect, noticeCopy, removeCopy } from "./reindex.ts";
import { type Removal, removeIndex } from "./remove.ts";
import { retire, whyLeft } from "./replace.ts";
import { readIndex } from "./statements.ts";
import { takeBack } from "./take-back.ts";
import { takeUpTrial } from "./trial.ts";
import { advance } from "./transitions.ts";
import { isAsIntended, settleWanted } from "./wanted.ts";

/** What was made of a deployment that an earlier process had left in the middle. */
export interface Reconciliation {
  /** As it is now. */
  readonly deployment: Deployment;
  readonly result:
    /** The index was valid and as intended: it is named and goes on to its verdict. */
    | "adopted"
    /** On a partitioned table: the verdict was reached, and the parts are attached. */
    | "promoted"
    /** An invalid leftover was dropped. */
    | "removed"
    /** Nothing of it exists. */
    | "missing"
    | "rolled_back"
    /** An index of somebody else's that a person wanted gone is gone. */
    | "dropped"
    /** Its backend still builds; look again later. */
    | "still_running"
    /** Somebody is in the way, or a safeguard refused; look again later. */
    | "postponed"
    /** Another process was quicker. */
    | "handled_elsewhere";
  readonly reason: string;
}

interface ReconcileOptions extends WaitOptions {
  /** Whether builds on partitioned tables go on with the partitions that are still missing, and verdicts that were reached are carried out; default true. */
  readonly goOn?: boolean;
}

/**
 * Takes up what earlier processes left in the middle: call it at every start, before anything new is begun. Looks only at deployments of the
 * store that are `building`, `promoting`, `retiring`, `dropping` or `rolling_back`; indexes of others, invalid or being built, are never touched.
 * @throws IndexPilotError `interrupted` (the signal), `connection_lost`
 */
export const reconcile = async (options: ReconcileOptions): Promise<readonly Reconciliation[]> => {
  const results: Reconciliation[] = [];
  const { store, signal } = options;
  const left = await store.deployments.list({
    states: ["building", "promoting", "retiring", "trying", "dropping", "rolling_back"],
  });
  // What is built of parts goes on when each of them is settled.
  for (const { id } of left.toSorted((a, b) => Number(a.partOf === undefined) - Number(b.partOf === undefined))) {
    if (signal?.aborted === true) throw failure("interrupted", {});
    const deployment = await store.deployments.get(id);
    if (deployment?.state === "rolling_back" || deployment?.state === "dropping")
      results.push(await reconcileDrop(options, deployment));
    else if (deployment?.state === "trying") {
      const outcome = await takeUpTrial(options, deployment);
      if (outcome?.kind === "done") {
        const ended = outcome.deployment.state === "rolled_back";
        const reason = ended ? "somebody ended its trial by hand" : "the planner does not see it any more";
        results.push({ deployment: outcome.deployment, result: ended ? "rolled_back" : "adopted", reason });
      } else if (outcome !== null) results.push({ deployment, result: "postponed", reason: outcome.reason });
    } else if (deployment?.state === "promoting") results.push(await reconcilePromotion(options, deployment));
    else if (deployment?.state === "retiring") results.push(await reconcileRetirement(options, deployment));
    else if (deployment?.state === "building") {
      const inParts = await isInParts(options.build, deployment);
      results.push(await (inParts ? reconcileParts(options, deployment) : reconcileBuild(options, deployment)));
    }
  }
  for (const deployment of await store.deployments.list({ states: ["verifying"] })) {
    await settleWanted(options, deployment);
  }
  return results;
};

const notNow = (deployment: Deployment): Reconciliation => ({
  deployment,
  result: "postponed",
  reason: "`apply` and `verify` go on with it",
});

const reconcileParts = async (options: ReconcileOptions, deployment: Deployment): Promise<Reconciliation> => {
  if (options.goOn === false) return notNow(deployment);
  const outcome = await continueParts({ ...options, deployment });
  switch (outcome.kind) {
    case "built":
      return { deployment: outcome.deployment, result: "adopted", reason: "every partition has its index" };
    case "refused":
      return { deployment, result: "handled_elsewhere", reason: outcome.reason };
    case "interrupted":
      throw failure("interrupted", {});
    case "deferred":
      return { deployment: outcome.deployment, result: "postponed", reason: outcome.reason };
    case "failed":
      return {
        deployment: outcome.deployment,
        result: outcome.leftover ? "postponed" : "removed",
        reason: outcome.reason,
      };
  }
};

const reconcilePromotion = async (options: ReconcileOptions, deployment: Deployment): Promise<Reconciliation> => {
  if (options.goOn === false) return notNow(deployment);
  const outcome = await promote(options, deployment);
  switch (outcome.kind) {
    case "settled":
      return { deployment: outcome.deployment, result: "promoted", reason: "its partitions' indexes are attached" };
    case "postponed":
      return { deployment: outcome.deployment, result: "postponed", reason: outcome.reason };
    case "superseded":
      return { deployment, result: "handled_elsewhere", reason: "another process took it up" };
  }
};

const reconcileDrop = async (options: ReconcileOptions, deployment: Deployment): Promise<Reconciliation> => {
  const postponed = async (reason: string): Promise<Reconciliation> => ({
    deployment:
      (await advance(options, deployment, "postpone", { actor: options.actor, detail: { reason } })) ?? deployment,
    result: "postponed",
    reason,
  });
  let outcome: DropOutcome;
  try {
    const reason = "an earlier process had begun to drop it";
    outcome =
      deployment.state === "dropping"
        ? await dropStanding({ ...options, deployment })
        : await takeBack({ ...options, deployment, reason });
  } catch (error) {
    if (error instanceof IndexPilotError && error.code === "index_not_ours") return postponed(error.message);
    throw error;
  }
  if (outcome.kind === "interrupted") throw failure("interrupted", {});
  if (outcome.kind === "refused") return postponed(outcome.reason);
  return outcome.kind === "dropped"
    ? {
        deployment: outcome.deployment,
        result: deployment.kind === "drop" ? "dropped" : "rolled_back",
        reason: "the index is gone",
      }
    : { deployment: outcome.deployment, result: "postponed", reason: outcome.reason };
};

type Answer = (event: "fail" | "postpone", result: Reconciliation["result"], reason: string) => Promise<Reconciliation>;

const reconcileBuild = async (options: WaitOptions, found: Deployment): Promise<Reconciliation> => {
  const { actor, store } = options;
  let deployment = found;
  const waited =
    found.backend === null
      ? "ended"
      : await waitForBackend(options, found, found.backend, async (watched) => {
          deployment = await noticeCopy(options, deployment, watched);
        });
  const elsewhere = async (): Promise<Reconciliation> => ({
    deployment: (await store.deployments.get(deployment.id)) ?? deployment,
    result: "handled_elsewhere",
    reason: "another process took it up",
  });
  if (waited === "handled_elsewhere") return elsewhere();
  const step: Answer = async (event, result, reason) => {
    const next = await advance(options, deployment, event, {
      actor,
      detail: { result, reason },
      ...(event === "fail" ? { patch: { backend: null } } : {}),
    });
    return next === null ? elsewhere() : { deployment: next, result, reason };
  };
  if (waited === "still_running") return step("postpone", "still_running", "its backend is still building the index");
  return deployment.kind === "reindex"
    ? reconcileReindex(options, deployment, step)
    : reconcileIndex(options, deployment, step, elsewhere);
};

const reconcileIndex = async (
  options: WaitOptions,
  deployment: Deployment,
  step: Answer,
  elsewhere: () => Promise<Reconciliation>,
): Promise<Reconciliation> => {
  const { build } = options;
  const stands = deployment.replaces === null ? "" : `; ${deployment.replaces.name} is as it was`;
  const index = await readIndex(build, deployment);
  if (index === null)
    return step("fail", "missing", `the process that built it ended, and nothing of the index exists${stands}`);
  let because = `the process that built it ended, and the invalid leftover was dropped${stands}`;
  if (index.usable && (await isAsIntended(build, deployment, index))) {
    if (deployment.replaces !== null) {
      const answer = await askConsent(options, "drop index", deployment);
      if (answer.kind === "refused") return step("postpone", "postponed", answer.reason);
    }
    const finished = await finish(options, deployment, index, "adopt", null);
    switch (finished.kind) {
      case "finished":
        return finished.deployment.state === "retiring"
          ? reconcileRetirement(options, finished.deployment)
          : {
              deployment: finished.deployment,
              result: "adopted",
              reason: "the build had ended by itself, valid and as intended",
            };
      case "postponed":
        return {
          deployment: finished.deployment,
          result: "postponed",
          reason: "somebody holds a lock in the way of its name",
        };
      case "vanished":
        return step("fail", "missing", `somebody dropped the index${stands}`);
      case "superseded":
        return elsewhere();
      case "rejected":
        because = finished.sqlState === null ? whyRejected(deployment) : describeSqlState(finished.sqlState);
    }
  }
  const kept = await dropLeftover(options, deployment, (consent) =>
    removeIndex(options, consent, deployment, {
      prove: (one) =>
        one.oid === index.oid && (one.name === deployment.temporaryName || one.oid === deployment.indexOid),
      patienceMs: leftoverPatienceOf(options),
      signal: options.signal,
    }),
  );
  return kept === null ? step("fail", "removed", because) : step("postpone", "postponed", kept);
};

/** Drops what a dead process left, once nobody builds on the table and the safeguards agree. @returns why it is still there; null when it is gone */
const dropLeftover = async (
  options: WaitOptions,
  deployment: Deployment,
  remove: (consent: Consent) => Promise<Removal>,
): Promise<string | null> => {
  if (!(await isIdle(options.build, deployment.tableOid))) {
    return "an index is being built on the table, or it is being vacuumed or altered";
  }
  const answer = await askConsent(options, "drop index", deployment);
  if (answer.kind === "refused") return answer.reason;
  const removal = await remove(answer.consent);
  if (removal.kind === "gone") return null;
  const { ended } = removal;
  if (ended.kind === "failed" && ended.sqlState === null) throw ended.error;
  return "the leftover cannot be dropped yet: open transactions use its table";
};

const reconcileReindex = async (
  options: WaitOptions,
  deployment: Deployment,
  step: Answer,
): Promise<Reconciliation> => {
  const found = await inspect(options.build, deployment);
  if (found.leftover !== null) {
    const kept = await dropLeftover(options, deployment, (consent) => removeCopy(options, consent, deployment, found));
    if (kept !== null) return step("postpone", "postponed", kept);
  }
  if (found.rebuilt !== null) {
    const finished = await finishReindex(options, deployment, found.rebuilt, null);
    return { deployment: finished, result: "adopted", reason: "the index had been rebuilt" };
  }
  return found.leftover === null
    ? step("fail", "missing", "the process that rebuilt it ended, and the index is as it was")
    : step("fail", "removed", "the process that rebuilt it ended, and its invalid copy was dropped");
};

/** Goes on with a replacement whose names were changed. */
const reconcileRetirement = async (options: WaitOptions, deployment: Deployment): Promise<Reconciliation> => {
  const answer = await askConsent(options, "drop index", deployment);
  if (answer.kind === "refused") {
    const detail = { reason: answer.reason };
    const postponed = await advance(options, deployment, "postpone", { actor: options.actor, detail });
    return { deployment: postponed ?? deployment, result: "postponed", reason: answer.reason };
  }
  const retired = await retire(options, answer.consent, deployment);
  if (retired.kind === "retired") {
    return {
      deployment: retired.deployment,
      result: "adopted",
      reason: "it stands in the place of the old index, which is dropped",
    };
  }
  if (retired.ended.kind === "cancelled" && retired.ended.because === "signal") throw failure("interrupted", {});
  return { deployment: retired.deployment, result: "postponed", reason: whyLeft(retired.ended) };
};
