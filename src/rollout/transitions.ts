import type { Deployment, DeploymentState } from "../domain/index.ts";
import type { Clock } from "../runtime/index.ts";
import type { DeploymentPatch, Store } from "../store/index.ts";

/** What can happen to a deployment. `SPEC.md` says when each does. */
export type DeploymentEventName =
  | "approve"
  | "decline"
  | "begin"
  | "check"
  | "build"
  | "adopt"
  | "yield"
  | "interrupt"
  | "fail"
  | "postpone"
  | "notice"
  | "swap"
  | "retire"
  | "hand_back"
  | "reindex"
  | "look"
  | "promote"
  | "settle"
  | "roll_back"
  | "drop"
  | "supersede"
  | "hide"
  | "show"
  | "dispose";

const nothing = {
  approve: null,
  decline: null,
  begin: null,
  check: null,
  build: null,
  adopt: null,
  yield: null,
  interrupt: null,
  fail: null,
  postpone: null,
  notice: null,
  swap: null,
  retire: null,
  hand_back: null,
  reindex: null,
  look: null,
  promote: null,
  settle: null,
  roll_back: null,
  drop: null,
  supersede: null,
  hide: null,
  show: null,
  dispose: null,
} as const satisfies Record<DeploymentEventName, null>;

/** Every state with every event; null: it cannot happen. */
export const transitions: Readonly<
  Record<DeploymentState, Readonly<Record<DeploymentEventName, DeploymentState | null>>>
> = {
  proposed: { ...nothing, approve: "approved", decline: "declined" },
  approved: { ...nothing, begin: "building", decline: "declined", hide: "trying", dispose: "dropping" },
  building: {
    ...nothing,
    check: "building",
    postpone: "building",
    build: "verifying",
    adopt: "verifying",
    notice: "building",
    swap: "retiring",
    reindex: "done",
    yield: "approved",
    interrupt: "approved",
    fail: "failed",
    roll_back: "rolling_back",
  },
  verifying: {
    ...nothing,
    look: "verifying",
    promote: "promoting",
    settle: "settled",
    roll_back: "rolling_back",
    reindex: "verifying",
    supersede: "done",
  },
  promoting: { ...nothing, promote: "promoting", postpone: "promoting", settle: "settled", roll_back: "rolling_back" },
  settled: { ...nothing, roll_back: "rolling_back", reindex: "settled", supersede: "done" },
  retiring: { ...nothing, postpone: "retiring", retire: "verifying", hand_back: "done" },
  trying: {
    ...nothing,
    check: "trying",
    look: "trying",
    postpone: "trying",
    show: "rolled_back",
    dispose: "dropping",
    drop: "done",
  },
  dropping: { ...nothing, postpone: "dropping", drop: "done" },
  done: nothing,
  rolling_back: { ...nothing, postpone: "rolling_back", drop: "rolled_back" },
  rolled_back: nothing,
  failed: nothing,
  declined: nothing,
};

export interface Step {
  readonly actor: string;
  readonly detail?: Readonly<Record<string, unknown>>;
  readonly patch?: DeploymentPatch;
}

/**
 * Takes one step of a deployment: state and history row together, only where the state still is the one we know.
 * @returns the deployment after the step, or null when another process was quicker
 * @throws Error when the table has no such transition (a fault of the program)
 */
export const advance = (
  { store, clock }: { readonly store: Store; readonly clock: Clock },
  deployment: Deployment,
  event: DeploymentEventName,
  step: Step,
): Promise<Deployment | null> => {
  const to = transitions[deployment.state][event];
  if (to === null) throw new Error(`a deployment that is ${deployment.state} cannot ${event}`);
  return store.deployments.transition(deployment.id, { from: deployment.state, to, event, at: clock.now(), ...step });
};
