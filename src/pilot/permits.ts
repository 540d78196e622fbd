import { modeOf, type Settings } from "../config/index.ts";
import type { CircuitBreaker, Deployment, Objection, PermitSource, PermittedAct } from "../domain/index.ts";
import {
  checkCircuitBreaker,
  isBuild,
  limitsOf,
  permitDecision,
  type PermitRequest,
  readDatabaseBytes,
  readReplicationLag,
  readServerCondition,
  REBUILD_RUN_MS,
  requestPermit,
  warningDecision,
  warningsOf,
} from "../safeguards/index.ts";
import { type ConnectionTarget, openSession, type Session } from "../postgres/index.ts";
import type { Clock } from "../runtime/index.ts";
import type { Store } from "../store/index.ts";
import { readCircuits, saveCircuits } from "./circuits.ts";
import { trialsFor } from "./held.ts";
import { sampleLoad } from "./load.ts";
import { withSession } from "./target.ts";

export interface PermitWiring {
  readonly build: Session;
  /** What other sessions do is visible to the observing role only. */
  readonly observe: ConnectionTarget;
  readonly store: Store;
  readonly clock: Clock;
  /** Who acts, as the history names it. */
  readonly actor: string;
  /** Who says yes now, to whatever is asked; null: what was approved before, deployment by deployment, counts. */
  readonly approvedBy: string | null;
  readonly buildLockHeld: boolean;
  readonly settings: Settings;
}

const HOUR_MS = 3_600_000;

/** Asks the safeguards without asking for a permit, which would begin a trial of a breaker; a refusal is recorded as a decision. */
export const foresight = (wiring: PermitWiring): ((act: PermittedAct) => Promise<Objection | null>) => {
  const read = readRequest(wiring);
  return async (act) => {
    const { request } = await read(act);
    const answer = requestPermit(request);
    if (answer.kind === "permit") return null;
    await wiring.store.decisions.record(permitDecision(request, answer));
    return answer;
  };
};

/** Reads what the safeguards decide by, asks them, and records a refusal as a decision. */
export const permitsFor = (wiring: PermitWiring): PermitSource => {
  const { store, clock, settings } = wiring;
  const limits = limitsOf(settings);
  const read = readRequest(wiring);
  return async (act) => {
    const { request, deployment } = await read(act);
    const { circuits, now } = request;
    const answer = requestPermit(request);
    if (answer.kind === "refused") {
      await store.decisions.record(permitDecision(request, answer));
    } else if (isBuild(act)) {
      const begun = (breaker: CircuitBreaker): CircuitBreaker => {
        const trial = checkCircuitBreaker(breaker, now, limits);
        return trial.kind === "allowed" ? trial.next : breaker;
      };
      const tried = { table: begun(circuits.table), server: begun(circuits.server) };
      await saveCircuits({ store, clock }, deployment, circuits, tried);
      for (const warning of warningsOf(request)) await store.decisions.record(warningDecision(request, warning));
    }
    return answer;
  };
};

/** Reads, at the moment of asking, everything the safeguards decide by. */
const readRequest = (
  wiring: PermitWiring,
): ((act: PermittedAct) => Promise<{ readonly request: PermitRequest; readonly deployment: Deployment }>) => {
  const { build, store, clock, buildLockHeld, settings } = wiring;
  const limits = limitsOf(settings);
  return async (act) => {
    const deployment = await store.deployments.get(act.deploymentId);
    if (deployment === null) throw new Error(`no deployment ${act.deploymentId} in the store`);
    const now = clock.now();
    const anHourAgo = new Date(now.getTime() - HOUR_MS);
    const condition = await readServerCondition(build, deployment.tableOid);
    // What is on trial for this one goes when this one stands.
    const gone = await store.deployments.gone();
    const onTrial = (await trialsFor(store, deployment)).filter(({ id }) => !gone.has(id));
    const trialBytes = onTrial.reduce((sum, { sizeBytes }) => sum + (sizeBytes ?? 0), 0);
    const indexesOnTable = condition.indexesOnTable === null ? null : condition.indexesOnTable - onTrial.length;
    const circuits = await readCircuits(store, deployment.tableOid);
    const request: PermitRequest = {
      act,
      stop: await store.stop.get(),
      mode: modeOf(deployment.table, settings.mode, settings.modeOverrides),
      approvedBy: wiring.approvedBy ?? (await store.deployments.approvedBy(deployment.partOf ?? deployment.id)),
      leaseHeld: true, // openStore() refuses a store whose lease is not ours.
      buildLockHeld,
      condition: { ...condition, indexesOnTable },
      ownedBytes: (await store.deployments.ownedBytes()) - trialBytes,
      ownedBytesOnTable: (await store.deployments.ownedBytes({ tableOid: deployment.tableOid })) - trialBytes,
      ownedBytesInSchema: (await store.deployments.ownedBytes({ schema: deployment.table.schema })) - trialBytes,
      addedBytes: deployment.predictedBytes,
      freedBytes: deployment.replaces?.sizeBytes ?? 0,
      prediction: deployment.rationale.prediction ?? null,
      buildsBegun: await store.deployments.buildsBegun(deployment.tableOid, anHourAgo),
      allBuildsBegun: await store.deployments.buildsBegun(null, anHourAgo),
      rebuildsBegun:
        act.act === "reindex" && wiring.approvedBy === null && deployment.rationale.bloat !== undefined
          ? await store.deployments.rebuildsBegun(wiring.actor, new Date(now.getTime() - REBUILD_RUN_MS))
          : null,
      circuits,
      ...(await withSession(openSession(wiring.observe, "observe"), async (session) => ({
        load: await sampleLoad(session, store, { clock, settings }),
        replication: await readReplicationLag(session),
        databaseBytes: limits.diskCapacityBytes === null ? null : await readDatabaseBytes(session),
      }))),
      limits,
      now,
    };
    return { request, deployment };
  };
};
