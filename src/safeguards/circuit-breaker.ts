import type { CircuitBreaker } from "../domain/index.ts";
import type { SafeguardLimits } from "./limits.ts";

/** As it is before anything has failed. */
export const closedCircuit: CircuitBreaker = {
  phase: "closed",
  failures: 0,
  successes: 0,
  openings: 0,
  retryAt: null,
  trialSince: null,
  lastFailure: null,
};

type CircuitLimits = Pick<
  SafeguardLimits,
  "breakerFailures" | "breakerOpenMs" | "breakerLongestOpenMs" | "breakerSuccesses"
>;

/** `next` is the breaker with the trial begun that is allowed; store it when the build really begins. */
export type CircuitAnswer =
  | { readonly kind: "allowed"; readonly next: CircuitBreaker }
  | { readonly kind: "refused"; readonly reason: string; readonly retryAt: Date };

const after = (now: Date, ms: number): Date => new Date(now.getTime() + ms);

/** Whether a build may be tried. Pure. */
export const checkCircuitBreaker = (breaker: CircuitBreaker, now: Date, limits: CircuitLimits): CircuitAnswer => {
  const failed = `builds failed (${breaker.lastFailure ?? "unknown"})`;
  switch (breaker.phase) {
    case "closed":
      return { kind: "allowed", next: breaker };
    case "open":
      if (breaker.retryAt !== null && now < breaker.retryAt)
        return { kind: "refused", reason: `${failed}; a trial is allowed later`, retryAt: breaker.retryAt };
      return {
        kind: "allowed",
        next: { ...breaker, phase: "half_open", successes: 0, retryAt: null, trialSince: now },
      };
    case "half_open": {
      // A trial whose process died never reports. After one opening time it is presumed dead; who asks holds the build lock, so none can be running.
      const free = breaker.trialSince === null ? now : after(breaker.trialSince, limits.breakerOpenMs);
      if (now < free) return { kind: "refused", reason: `${failed}; one trial at a time is running`, retryAt: free };
      return { kind: "allowed", next: { ...breaker, trialSince: now } };
    }
  }
};

/** A build ended well. Pure. */
export const recordCircuitSuccess = (breaker: CircuitBreaker, limits: CircuitLimits): CircuitBreaker => {
  switch (breaker.phase) {
    case "closed":
      return closedCircuit;
    case "open":
      return breaker;
    case "half_open":
      return breaker.successes + 1 >= limits.breakerSuccesses
        ? closedCircuit
        : { ...breaker, successes: breaker.successes + 1, trialSince: null };
  }
};

/** A build failed; `failure` says how (a SQLSTATE, or a word of ours). Pure. */
export const recordCircuitFailure = (
  breaker: CircuitBreaker,
  failure: string,
  now: Date,
  limits: CircuitLimits,
): CircuitBreaker => {
  const open = (failures: number): CircuitBreaker => ({
    phase: "open",
    failures,
    successes: 0,
    openings: breaker.openings + 1,
    retryAt: after(now, Math.min(limits.breakerOpenMs * 2 ** breaker.openings, limits.breakerLongestOpenMs)),
    trialSince: null,
    lastFailure: failure,
  });
  switch (breaker.phase) {
    case "closed": {
      const failures = breaker.failures + 1;
      return failures >= limits.breakerFailures ? open(failures) : { ...breaker, failures, lastFailure: failure };
    }
    case "open":
      return { ...breaker, lastFailure: failure };
    case "half_open":
      return open(breaker.failures);
  }
};

/** A build ended without news: it gave way, was interrupted or refused. It counts neither way, and its trial is over. Pure. */
export const recordCircuitSkip = (breaker: CircuitBreaker): CircuitBreaker =>
  breaker.trialSince === null ? breaker : { ...breaker, trialSince: null };

/** Classes of SQLSTATEs (PostgreSQL documentation, appendix A) in which a build says something about the server and not about its table. */
const serverClasses: ReadonlySet<string> = new Set(["08", "25", "53", "58", "XX"]);

/** Whose breaker a failed build feeds. Class 57 is operator intervention: all of it but the cancelling of one statement. */
export const circuitOf = (sqlState: string | null): "server" | "table" =>
  sqlState !== null && (serverClasses.has(sqlState.slice(0, 2)) || (sqlState.startsWith("57") && sqlState !== "57014"))
    ? "server"
    : "table";
