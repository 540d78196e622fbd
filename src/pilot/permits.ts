import type { Settings } from "../config/index.ts";
import type { PermitSource } from "../domain/index.ts";
import { limitsOf, permitDecision, readServerCondition, requestPermit } from "../safeguards/index.ts";
import type { Session } from "../postgres/index.ts";
import type { Clock } from "../runtime/index.ts";
import type { Store } from "../store/index.ts";

export interface PermitWiring {
  readonly build: Session;
  readonly store: Store;
  readonly clock: Clock;
  /** Who said yes. */
  readonly approvedBy: string;
  readonly buildLockHeld: boolean;
  readonly settings: Settings;
}

const HOUR_MS = 3_600_000;

/** Reads what the safeguards decide by, asks them, and records a refusal as a decision. */
export const permitsFor = (wiring: PermitWiring): PermitSource => {
  const { build, store, clock, approvedBy, buildLockHeld } = wiring;
  const limits = limitsOf(wiring.settings);
  return async (act) => {
    const deployment = await store.deployments.get(act.deploymentId);
    if (deployment === null) throw new Error(`no deployment ${act.deploymentId} in the store`);
    const now = clock.now();
    const anHourAgo = new Date(now.getTime() - HOUR_MS);
    const condition = await readServerCondition(build, deployment.tableOid);
    const request = {
      act,
      approvedBy,
      leaseHeld: true, // openStore() refuses a store whose lease is not ours.
      buildLockHeld,
      condition,
      ownedBytes: await store.deployments.ownedBytes(),
      addedBytes: deployment.predictedBytes,
      buildsBegun: await store.deployments.buildsBegun(deployment.tableOid, anHourAgo),
      allBuildsBegun: await store.deployments.buildsBegun(null, anHourAgo),
      limits,
      now,
    };
    const answer = requestPermit(request);
    if (answer.kind === "refused") {
      await store.decisions.record(permitDecision(request, answer));
    }
    return answer;
  };
};
