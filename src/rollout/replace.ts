import type { Deployment } from "../domain/index.ts";
import { type BuildOptions, type BuildOutcome, runBuild } from "./build.ts";
import { askConsent, type Consent, haltsOf, type RolloutContext, YIELD_MS } from "./context.ts";
import { retiredName } from "./names.ts";
import { becomesOurs } from "./place.ts";
import { describeSqlState } from "./reasons.ts";
import { removeIndex } from "./remove.ts";
import { advance } from "./transitions.ts";
import type { Ended } from "./watched.ts";

/**
 * Replaces an index: the wanted one is built concurrently beside it, checked, given its name in one short transaction, and the old one is dropped
 * concurrently. Until the names change, every failure leaves the old index as it was; after that, the next start goes on with the drop.
 *
 * Locks: as a concurrent build and a concurrent drop; SHARE UPDATE EXCLUSIVE on both indexes for the change of names, and where a constraint is in play,
 * ACCESS EXCLUSIVE on the table for a catalogue entry. Needs the table's owner role and CREATE on its schema.
 * @throws IndexPilotError `connection_lost`: `reconcile` takes it up at the next start
 */
export const replaceIndex = async (options: BuildOptions): Promise<BuildOutcome> => {
  if (options.deployment.replaces === null) throw new Error("this deployment does not replace an index");
  const outcome = await runBuild(options);
  if (outcome.kind !== "built" || outcome.deployment.state !== "retiring") return outcome;
  const answer = await askConsent(options, "drop index", outcome.deployment);
  if (answer.kind === "refused") {
    const { reason, retryAt } = answer;
    return { kind: "deferred", deployment: outcome.deployment, reason: laterDropped(reason), retryAt, leftover: true };
  }
  const retired = await retire(options, answer.consent, outcome.deployment);
  if (retired.kind === "retired") return { kind: "built", deployment: retired.deployment };
  const { deployment, ended } = retired;
  if (ended.kind === "cancelled" && ended.because === "signal")
    return { kind: "interrupted", deployment, leftover: true };
  const retryAt = new Date(options.clock.now().getTime() + YIELD_MS);
  return { kind: "deferred", deployment, reason: laterDropped(whyLeft(ended)), retryAt, leftover: true };
};

const laterDropped = (reason: string): string =>
  `the names are changed, and the old index waits to be dropped: ${reason}`;

/** Why a drop did not end, for people. */
export const whyLeft = (ended: Ended): string => {
  if (ended.kind === "failed") return describeSqlState(ended.sqlState);
  if (ended.kind === "done") return "it is still there";
  switch (ended.because) {
    case "lock_budget":
      return `backend ${String(ended.victim.pid)} had waited ${String(Math.round(ended.victim.waitedMs))} ms for it`;
    case "halt":
      return ended.objection.reason;
    case "patience":
      return "others use the table";
    case "signal":
      return "interrupted";
  }
};

type Retired =
  | { readonly kind: "retired"; readonly deployment: Deployment }
  /** The old index is still there; the next start goes on. */
  | { readonly kind: "left"; readonly deployment: Deployment; readonly ended: Ended };

/** Drops the index whose name was taken, and ends the deployment of ours that it stood for. Idempotent. @throws IndexPilotError `connection_lost` */
export const retire = async (context: RolloutContext, consent: Consent, deployment: Deployment): Promise<Retired> => {
  const { replaces, id } = deployment;
  if (replaces === null) throw new Error("nothing was replaced");
  const { actor, store } = context;
  const removal = await removeIndex(context, consent, deployment, {
    oid: replaces.oid,
    // With this name it can only be the one that we have moved out of the way.
    prove: (found) => found.oid === replaces.oid && found.name === retiredName(id),
    signal: context.signal,
    halts: haltsOf(context, "drop index"),
  });
  if (removal.kind === "left") {
    const { ended } = removal;
    if (ended.kind === "failed" && ended.sqlState === null) throw ended.error;
    const detail = { because: "the old index waits to be dropped", reason: whyLeft(ended) };
    const postponed = await advance(context, deployment, "postpone", { actor, detail });
    return { kind: "left", deployment: postponed ?? deployment, ended };
  }
  const before = replaces.deploymentId === null ? null : await store.deployments.get(replaces.deploymentId);
  if (before?.state === "verifying" || before?.state === "settled") {
    await advance(context, before, "supersede", {
      actor,
      detail: { by: id, reason: "another index has taken its place" },
    });
  }
  const event = becomesOurs(deployment) ? "retire" : "hand_back";
  const detail = { indexName: deployment.indexName, indexOid: deployment.indexOid, dropped: replaces.definition };
  const done = await advance(context, deployment, event, { actor, detail });
  return { kind: "retired", deployment: done ?? (await store.deployments.get(id)) ?? deployment };
};
