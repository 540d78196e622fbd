import type { Deployment, DeploymentRationale } from "../domain/index.ts";
import { sameDefinition } from "../postgres/index.ts";
import { askConsent, haltsOf, type RolloutContext, YIELD_MS } from "./context.ts";
import { concludeDrop, type DropOutcome } from "./drop.ts";
import { objectionToDrop } from "./droppable.ts";
import { isIdle } from "./idle.ts";
import { temporaryName } from "./names.ts";
import { removeIndex } from "./remove.ts";
import { readStanding, type StandingIndex } from "./standing.ts";
import { readIndex } from "./statements.ts";
import { advance } from "./transitions.ts";

/** A deployment that drops an index, anybody's; as it is now is what a rollback builds again. */
export const proposeDrop = (intention: {
  /** A fresh UUID. */
  readonly id: string;
  /** As {@link objectionToDrop} has nothing against; invalid where the rationale's finding is that. */
  readonly standing: StandingIndex;
  readonly rationale: DeploymentRationale;
  readonly now: Date;
}): Deployment => {
  const { id, standing, rationale, now } = intention;
  const { definition, constraint, tablespace } = standing;
  return {
    id,
    kind: "drop",
    state: "proposed",
    table: standing.table,
    tableOid: standing.tableOid,
    definition,
    intended: null,
    recorded: { definition, constraint, tablespace },
    replaces: null,
    temporaryName: temporaryName(id),
    indexName: standing.name,
    indexOid: standing.oid,
    backend: null,
    sizeBytes: standing.sizeBytes,
    predictedBytes: null,
    buildMs: null,
    verdict: null,
    rationale,
    createdAt: now,
    updatedAt: now,
  };
};

/**
 * Drops the index of an approved `drop`, concurrently. What it is, and whether it may go, is read anew just before. Idempotent: gone already is dropped.
 *
 * Locks: SHARE UPDATE EXCLUSIVE on the table; waits for the transactions that use it; reads and writes go on. Needs the table's owner role.
 * @throws IndexPilotError `connection_lost`
 */
export const dropStanding = async (
  options: RolloutContext & { readonly deployment: Deployment },
): Promise<DropOutcome> => {
  const { build, clock, actor, signal } = options;
  let { deployment } = options;
  if (deployment.state === "done") return { kind: "dropped", deployment, wasThere: false };
  const { indexOid, recorded } = deployment;
  if (indexOid === null || recorded === null) throw new Error("a drop says which index, and what it was");
  const standing = await readStanding(build, indexOid);
  const objection = standing === null ? null : whyNotDrop(deployment, standing);
  if (objection !== null) return { kind: "refused", ...objection, retryAt: null };
  if (standing !== null && isDebris(deployment) && !(await isIdle(build, deployment.tableOid))) {
    const reason = `an index of its table is being built, or the table is being vacuumed or altered: nobody knows whether ${standing.name} is debris`;
    return { kind: "refused", code: "being_built", reason, retryAt: new Date(clock.now().getTime() + YIELD_MS) };
  }
  const answer = await askConsent(options, "drop index", deployment);
  if (answer.kind === "refused") return answer;
  if (deployment.state !== "dropping") {
    const begun = await advance(options, deployment, "dispose", { actor, detail: { definition: recorded.definition } });
    if (begun === null) {
      const reason = "another process took this deployment up";
      return { kind: "refused", code: "state_changed", reason, retryAt: null };
    }
    deployment = begun;
  }
  const there = await readIndex(build, deployment);
  const removal = await removeIndex(options, answer.consent, deployment, {
    prove: ({ oid, definition, usable }) =>
      oid === indexOid && sameDefinition(definition, recorded.definition) && !(isDebris(options.deployment) && usable),
    signal,
    halts: haltsOf(options, "drop index"),
  });
  return concludeDrop(options, deployment, removal, there !== null);
};

const isDebris = ({ rationale }: Deployment): boolean => rationale.finding === "invalid";

/** What our own interrupted drop, or our own trial, makes invalid is no reason against the drop. */
export const whyNotDrop = (
  deployment: Deployment,
  standing: StandingIndex,
): { readonly code: string; readonly reason: string } | null => {
  const { state, recorded } = deployment;
  if (recorded !== null && !sameDefinition(standing.definition, recorded.definition)) {
    return { code: "index_changed", reason: `${standing.name} is not the index any more that was to be dropped` };
  }
  const debris = isDebris(deployment);
  return objectionToDrop(state === "approved" || debris ? standing : { ...standing, valid: true }, { debris });
};
