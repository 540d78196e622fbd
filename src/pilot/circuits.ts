import type { Settings } from "../config/index.ts";
import type { CircuitBreaker, Deployment } from "../domain/index.ts";
import type { BuildOutcome } from "../rollout/index.ts";
import type { Clock } from "../runtime/index.ts";
import {
  circuitOf,
  closedCircuit,
  limitsOf,
  recordCircuitFailure,
  recordCircuitSkip,
  recordCircuitSuccess,
} from "../safeguards/index.ts";
import type { Store } from "../store/index.ts";

interface Wiring {
  readonly store: Store;
  readonly clock: Clock;
  readonly settings: Settings;
}

export interface Circuits {
  readonly table: CircuitBreaker;
  readonly server: CircuitBreaker;
}

/** The two breakers a build on a table stands before. */
export const readCircuits = async (store: Store, tableOid: number): Promise<Circuits> => ({
  table: (await store.circuits.get({ tableOid })) ?? closedCircuit,
  server: (await store.circuits.get("server")) ?? closedCircuit,
});

/** Stores what has changed; a change of phase is a decision and leaves its record. */
export const saveCircuits = async (
  { store, clock }: Pick<Wiring, "store" | "clock">,
  deployment: Deployment,
  before: Circuits,
  after: Circuits,
): Promise<void> => {
  const at = clock.now();
  for (const which of ["table", "server"] as const) {
    const [old, next] = [before[which], after[which]];
    if (next === old) continue;
    await store.circuits.save(which === "server" ? "server" : { tableOid: deployment.tableOid }, next, at);
    if (next.phase === old.phase) continue;
    const subject = which === "server" ? "the server" : `${deployment.table.schema}.${deployment.table.name}`;
    const because = {
      closed: `builds on ${subject} succeed again`,
      half_open: `one build on ${subject} is tried again after failures`,
      open: `builds on ${subject} failed (${next.lastFailure ?? "unknown"}); none begins before ${next.retryAt?.toISOString() ?? ""}`,
    };
    await store.decisions.record({
      at,
      subject: "circuit breaker",
      deploymentId: deployment.id,
      rule: "safeguards.circuit_breaker",
      outcome: next.phase.replace("_", " "),
      code: `circuit_${next.phase}`,
      reason: because[next.phase],
      inputs: { scope: which, before: old, after: next },
    });
  }
};

/** Tells the breakers how a build ended. What it says about its table is not held against the server, nor the other way round. */
export const reportBuild = async (wiring: Wiring, deployment: Deployment, outcome: BuildOutcome): Promise<void> => {
  const limits = limitsOf(wiring.settings);
  const before = await readCircuits(wiring.store, deployment.tableOid);
  const next = (breaker: CircuitBreaker, which: "table" | "server"): CircuitBreaker => {
    switch (outcome.kind) {
      case "built":
        // Nothing to tell, and nothing to store, where nothing has failed.
        return breaker.phase === "closed" && breaker.failures === 0 ? breaker : recordCircuitSuccess(breaker, limits);
      case "failed":
        return circuitOf(outcome.sqlState) === which
          ? recordCircuitFailure(breaker, outcome.sqlState ?? "not_as_intended", wiring.clock.now(), limits)
          : recordCircuitSkip(breaker);
      case "refused":
      case "deferred":
      case "interrupted":
        return recordCircuitSkip(breaker);
    }
  };
  await saveCircuits(wiring, deployment, before, {
    table: next(before.table, "table"),
    server: next(before.server, "server"),
  });
};
