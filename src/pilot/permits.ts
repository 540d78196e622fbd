import { modeOf, type Settings } from "../config/index.ts";
import type { CircuitBreaker, PermitSource } from "../domain/index.ts";
import {
  checkCircuitBreaker,
  limitsOf,
  permitDecision,
  readDatabaseBytes,
  readReplicationLag,
  readServerCondition,
  requestPermit,
} from "../safeguards/index.ts";
import { type ConnectionTarget, openSession, type Session } from "../postgres/index.ts";
import type { Clock } from "../runtime/index.ts";
import type { Store } from "../store/index.ts";
import { readCircuits, saveCircuits } from "./circuits.ts";
import { sampleLoad } from "./load.ts";
import { withSession } from "./target.ts";

export interface PermitWiring {
  readonly build: Session;
  /** What other sessions do is visible to the observing role only. */
  readonly observe: ConnectionTarget;
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
  const { settings } = wiring;
  const limits = limitsOf(settings);
  return async (act) => {
    const deployment = await store.deployments.get(act.deploymentId);
    if (deployment === null) throw new Error(`no deployment ${act.deploymentId} in the store`);
    const now = clock.now();
    const anHourAgo = new Date(now.getTime() - HOUR_MS);
    const condition = await readServerCondition(build, deployment.tableOid);
    const circuits = await readCircuits(store, deployment.tableOid);
    const request = {
      act,
      stop: await store.stop.get(),
      mode: modeOf(deployment.table, settings.mode, settings.modeOverrides),
      approvedBy,
      leaseHeld: true, // openStore() refuses a store whose lease is not ours.
      buildLockHeld,
      condition,
      ownedBytes: await store.deployments.ownedBytes(),
      ownedBytesOnTable: await store.deployments.ownedBytes(deployment.tableOid),
      addedBytes: deployment.predictedBytes,
      prediction: deployment.rationale.prediction ?? null,
      buildsBegun: await store.deployments.buildsBegun(deployment.tableOid, anHourAgo),
      allBuildsBegun: await store.deployments.buildsBegun(null, anHourAgo),
      circuits,
      ...(await withSession(openSession(wiring.observe, "observe"), async (session) => ({
        load: await sampleLoad(session, store, { clock, settings }),
        replication: await readReplicationLag(session),
        databaseBytes: limits.diskCapacityBytes === null ? null : await readDatabaseBytes(session),
      }))),
      limits,
      now,
    };
    const answer = requestPermit(request);
    if (answer.kind === "refused") {
      await store.decisions.record(permitDecision(request, answer));
    } else if (act.act === "create index") {
      const begun = (breaker: CircuitBreaker): CircuitBreaker => {
        const trial = checkCircuitBreaker(breaker, now, limits);
        return trial.kind === "allowed" ? trial.next : breaker;
      };
      const tried = { table: begun(circuits.table), server: begun(circuits.server) };
      await saveCircuits({ store, clock }, deployment, circuits, tried);
    }
    return answer;
  };
};
