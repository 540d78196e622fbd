import { defaults } from "../config/index.ts";
import {
  type Deployment,
  type HaltSource,
  type Objection,
  type Permit,
  permitAllows,
  type PermittedAct,
  type PermitSource,
} from "../domain/index.ts";
import type { Session } from "../postgres/index.ts";
import type { Clock } from "../runtime/index.ts";
import type { Store } from "../store/index.ts";

/** What every act of the rollout works with. The two sessions are of the same role, so that one may cancel the other. */
export interface RolloutContext {
  /** Purpose `build`. */
  readonly build: Session;
  /** Purpose `watch`. */
  readonly watch: Session;
  readonly store: Store;
  readonly clock: Clock;
  /** Asked at the moment an act is about to begin. */
  readonly permits: PermitSource;
  /** Asked at each look at a running act. */
  readonly halts?: HaltSource;
  /** Who is written into the history. */
  readonly actor: string;
  /** Cancels the running statement and puts everything in order (Ctrl-C). */
  readonly signal?: AbortSignal | undefined;
  /** What we may make one other session wait, milliseconds. */
  readonly lockBudgetMs?: number;
  /** How long the removal of a leftover, or a short lock on a partitioned table, is tried for before it is left to the next start, milliseconds. */
  readonly leftoverPatienceMs?: number;
}

/** The safeguards' word on one running act, as the watcher asks for it. */
export const haltsOf = (
  { halts }: RolloutContext,
  act: PermittedAct["act"],
): (() => Promise<Objection | null>) | undefined => (halts === undefined ? undefined : () => halts(act));

/** What building a deployment's index is called before the safeguards. */
export const buildActOf = ({ kind }: Deployment): PermittedAct["act"] => {
  switch (kind) {
    case "create":
      return "create index";
    case "replace":
      return "replace index";
    case "reindex":
      return "reindex";
    case "drop":
      throw new Error("a drop builds nothing");
  }
};

export const lockBudgetOf = (context: RolloutContext): number => context.lockBudgetMs ?? defaults.lockBudgetMs;
/** As long as somebody who pressed Ctrl-C may be expected to wait. */
export const leftoverPatienceOf = (context: RolloutContext): number => context.leftoverPatienceMs ?? 10_000;
/** When to try again after we were in somebody's way. */
export const YIELD_MS = 30_000;

declare const consented: unique symbol;

/**
 * Proof that a permitted act has begun. It covers the act to its end: checking, naming and commenting the index, and removing its own
 * leftover, however long that takes.
 */
export interface Consent {
  readonly [consented]: true;
  readonly deploymentId: string;
}

export type ConsentAnswer =
  | { readonly kind: "consent"; readonly consent: Consent }
  | ({ readonly kind: "refused" } & Objection);

const consentBy = (permit: Permit, act: PermittedAct, clock: Clock): Consent => {
  if (!permitAllows(permit, act, clock.now().getTime())) {
    throw new Error(`the permit does not allow to ${act.act} for deployment ${act.deploymentId}, or has expired`);
  }
  return Object.freeze({ deploymentId: act.deploymentId }) as Consent;
};

/**
 * Asks for a permit and turns it into consent.
 * @throws Error when the answer is a permit for something else, expired, or not minted by the safeguards
 */
export const askConsent = async (
  { permits, clock }: Pick<RolloutContext, "permits" | "clock">,
  act: PermittedAct["act"],
  deployment: Deployment,
): Promise<ConsentAnswer> => {
  const wanted: PermittedAct = { act, table: deployment.table, deploymentId: deployment.id };
  const answer = await permits(wanted);
  return answer.kind === "permit" ? { kind: "consent", consent: consentBy(answer.permit, wanted, clock) } : answer;
};
