import type { Deployment } from "../domain/index.ts";
import { quoteName, type Session } from "../postgres/index.ts";
import { advance, type DropOutcome, dropStanding, readStanding, type StandingIndex } from "../rollout/index.ts";
import { hideApproved } from "./drop.ts";
import { inquireDrops, isUnanswerable } from "./drop-inquiry.ts";
import { withReplicas } from "./replicas.ts";
import type { Rollout } from "./rollout-context.ts";
import { markChange } from "./since-change.ts";
import { ownRoles, type PilotContext } from "./target.ts";

/** How an approved drop was carried out. */
export interface DropReport {
  readonly deployment: Deployment;
  readonly outcome:
    | DropOutcome
    /** The planner does not see it any more; `verify` ends the trial. */
    | { readonly kind: "hidden"; readonly deployment: Deployment }
    /** Something speaks against it now. */
    | { readonly kind: "declined"; readonly code: string; readonly reason: string };
}

/** What is not known now may be in an hour: the workload, what replicas use. */
const UNKNOWN_MS = 3_600_000;

type Answer = { readonly kind: "declined" | "refused"; readonly code: string; readonly reason: string };

/** Whether it is that nobody was asked, which speaks neither for nor against. */
const isUnknown = ({ code }: Pick<Answer, "code">): boolean => code === "replicas_unknown";

/** What speaks against each now, by OID, asked about all of them together; nobody is asked about what no query can use. */
const answersNow = async (
  context: PilotContext,
  session: Session,
  approved: readonly Deployment[],
): Promise<ReadonlyMap<number, Answer>> => {
  const standings: StandingIndex[] = [];
  for (const { indexOid, rationale } of approved) {
    const standing =
      indexOid === null || rationale.finding === "invalid" ? null : await readStanding(session, indexOid);
    if (standing !== null) standings.push(standing);
  }
  if (standings.length === 0) return new Map();
  try {
    const inquiries = await withReplicas(context.replicas ?? [], session, (replicas) =>
      inquireDrops(context, session, replicas, standings, { observeMs: null, seed: context.settings.seed }),
    );
    return new Map(
      inquiries.flatMap(({ standing, objection }) =>
        objection === null
          ? []
          : [[standing.oid, { kind: isUnknown(objection) ? "refused" : "declined", ...objection }]],
      ),
    );
  } catch (error) {
    if (!isUnanswerable(error)) throw error;
    return new Map(standings.map(({ oid }) => [oid, { kind: "refused", code: error.code, reason: error.message }]));
  }
};

/**
 * Drops what a person approved to be dropped, after asking everything again just before: what speaks against it now declines it; where that cannot be known now, it
 * stays approved, and is asked about again later. With `drop.trial` each is hidden from
 * the planner first, for `verify` to end.
 */
export const dropApproved = async (
  context: PilotContext,
  rollout: Rollout,
  /** Observes the target. */
  session: Session,
  approved: readonly Deployment[],
): Promise<readonly DropReport[]> => {
  const { store, actor, clock } = rollout;
  const reports: DropReport[] = [];
  const answers = await answersNow(context, session, approved);
  for (const deployment of approved) {
    if (context.signal.aborted || context.drain?.aborted === true) break;
    const answer = deployment.indexOid === null ? undefined : answers.get(deployment.indexOid);
    if (answer !== undefined) {
      const { kind, code, reason } = answer;
      if (kind === "declined") await advance(rollout, deployment, "decline", { actor, detail: { code, reason } });
      else {
        await store.decisions.record({
          at: clock.now(),
          subject: "refuse",
          deploymentId: deployment.id,
          rule: "pilot.drop",
          outcome: "refused",
          code,
          reason,
          inputs: { index: deployment.indexName },
        });
      }
      const retryAt = new Date(clock.now().getTime() + UNKNOWN_MS);
      reports.push({
        deployment,
        outcome: kind === "declined" ? { kind, code, reason } : { kind, code, reason, retryAt },
      });
      continue;
    }
    const { trialMs } = context.settings;
    context.emit({ kind: "step", text: `dropping ${quoteName({ ...deployment.table, name: deployment.indexName })}` });
    if (trialMs > 0 && deployment.rationale.finding !== "invalid") {
      const hidden = await hideApproved(context, rollout, session, deployment, trialMs);
      reports.push({
        deployment,
        outcome: hidden.kind === "done" ? { kind: "hidden", deployment: hidden.deployment } : hidden,
      });
    } else reports.push({ deployment, outcome: await dropStanding({ ...rollout, deployment }) });
  }
  if (reports.some(({ outcome }) => outcome.kind === "dropped")) await markChange(session, store, ownRoles(context));
  return reports;
};
