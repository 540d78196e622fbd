import { randomUUID } from "node:crypto";
import { formatDuration } from "../config/index.ts";
import { failure } from "../errors.ts";
import type { Deployment, DeploymentRationale } from "../domain/index.ts";
import { openSession, type Session } from "../postgres/index.ts";
import {
  advance,
  type DropOutcome,
  dropStanding,
  hideIndex,
  proposeDrop,
  showIndex,
  type TrialOutcome,
} from "../rollout/index.ts";
import { act } from "./apply.ts";
import { observeBaseline } from "./baseline.ts";
import { type DropInquiry, inquireDrop, onlyStanding } from "./drop-inquiry.ts";
import { withEvidence } from "./proposal.ts";
import { withReplicas } from "./replicas.ts";
import type { Rollout } from "./rollout-context.ts";
import { markChange } from "./since-change.ts";
import { ownRoles, type PilotContext, readStore, withSession } from "./target.ts";
import { type Pursued, pursueVerdicts } from "./verdicts.ts";

export interface DropRequest {
  /** `name` or `schema.name`. */
  readonly index: string;
  readonly observeMs: number | null;
  readonly seed: number;
}

const owning: ReadonlySet<Deployment["state"]> = new Set([
  "building",
  "verifying",
  "promoting",
  "settled",
  "retiring",
  "rolling_back",
]);

/** Whether an index is one that a deployment of ours made, or makes: those are taken back, not dropped. */
export const isOwn = ({ kind, state, indexOid }: Deployment, oid: number): boolean =>
  kind !== "reindex" && kind !== "drop" && indexOid === oid && owning.has(state);

/** What speaks for and against dropping an index. Reads only. @throws IndexPilotError as `inquireDrop` does; `usage` where it is ours */
export const findDrop = (context: PilotContext, request: DropRequest): Promise<DropInquiry> =>
  withSession(openSession(context.observe, "observe"), async (session) => {
    const { oid, name } = await onlyStanding(session, request.index);
    const deployments = await readStore(context, (store) => store.deployments.list());
    if (deployments?.some((one) => isOwn(one, oid)) === true) {
      throw failure("usage", {
        problem: `${name} is IndexPilot's own`,
        hint: `\`indexpilot rollback ${name}\` takes it back`,
      });
    }
    return withReplicas(context.replicas ?? [], session, (replicas) =>
      inquireDrop(context, session, replicas, request),
    );
  });

export type Dropped =
  | DropOutcome
  /** It was hidden from the planner; what came of that so far. */
  | { readonly kind: "tried"; readonly pursued: Pursued };

/** The trial of the index of this name, where there is one. */
const trialOf = (context: PilotContext, index: string): Promise<Deployment | null> =>
  readStore(context, async (store) => {
    const trying = await store.deployments.list({ states: ["trying"] });
    return (
      trying.find(({ indexName, table }) => index === indexName || index === `${table.schema}.${indexName}`) ?? null
    );
  });

const acting = ({ settings }: PilotContext, actor: string) => ({
  actor,
  budgetBytes: settings.budgetBytes,
  acceptInstallation: false,
});

/** Ends the trial of an index: the planner sees it again. @throws IndexPilotError `usage` where it is not being tried */
export const endTrial = async (
  context: PilotContext,
  { index, actor }: { readonly index: string; readonly actor: string },
): Promise<TrialOutcome> => {
  const trial = await trialOf(context, index);
  if (trial === null) {
    throw failure("usage", {
      problem: `${index} is not being tried without`,
      hint: "`indexpilot versions` keeps what was dropped; `rollback --to` builds it again",
    });
  }
  return act(context, acting(context, actor), ({ rollout }) => showIndex(rollout, trial, `asked for by ${actor}`));
};

/**
 * Drops an index, anybody's, in a person's name: when nothing speaks against it, concurrently and under a permit. With a trial it is hidden from the planner first, and dropped when the trial is over and
 * nothing was worse; asked again with a trial, that is watched on, and without one the index goes at once. What it was stays in the history, from which it can be built again. @throws as {@link findDrop}
 */
export const dropIndex = async (
  context: PilotContext,
  request: DropRequest & { readonly actor: string; readonly trialMs: number },
): Promise<{ readonly inquiry: DropInquiry | null; readonly outcome: Dropped }> => {
  const { actor, trialMs } = request;
  const trial = await trialOf(context, request.index);
  if (trial !== null) {
    return act(context, acting(context, actor), async ({ rollout, session }) => {
      const outcome =
        trialMs > 0
          ? await tryWithout(context, rollout, session, trial, trialMs)
          : await dropStanding({ ...rollout, deployment: trial });
      if (outcome.kind === "dropped") await markChange(session, rollout.store, ownRoles(context));
      return { inquiry: null, outcome };
    });
  }
  const inquiry = await findDrop(context, request);
  const { standing, objection, planned, unread } = inquiry;
  return act(context, acting(context, actor), async ({ rollout, session }) => {
    const { store, clock } = rollout;
    if (objection !== null) {
      await store.decisions.record({
        at: clock.now(),
        subject: "refuse",
        deploymentId: null,
        rule: "pilot.drop",
        outcome: "refused",
        ...objection,
        inputs: { index: standing.name, definition: standing.definition, planned, unread: unread.length },
      });
      return { inquiry, outcome: { kind: "refused", ...objection, retryAt: null } };
    }
    const waiting = (await store.deployments.list({ states: ["proposed", "approved"] })).find(
      ({ kind, indexOid }) => kind === "drop" && indexOid === standing.oid,
    );
    const proposed =
      waiting ??
      proposeDrop({
        id: randomUUID(),
        standing,
        rationale: rationaleOf(inquiry, `asked for by ${actor}`),
        now: clock.now(),
      });
    if (waiting === undefined) await store.deployments.insert(proposed, { event: "propose", actor });
    const deployment =
      proposed.state === "approved"
        ? proposed
        : await advance(rollout, proposed, "approve", { actor, detail: { by: actor } });
    if (deployment === null) {
      const reason = "another process took this deployment up";
      return { inquiry, outcome: { kind: "refused", code: "state_changed", reason, retryAt: null } };
    }
    const outcome =
      trialMs > 0
        ? await tryWithout(context, rollout, session, deployment, trialMs)
        : await dropStanding({ ...rollout, deployment });
    if (outcome.kind === "refused" && (await store.deployments.get(deployment.id))?.state === "approved") {
      const detail = { code: outcome.code, reason: outcome.reason };
      await advance(rollout, deployment, "decline", { actor, detail });
    }
    if (outcome.kind === "dropped") await markChange(session, store, ownRoles(context));
    return { inquiry, outcome };
  });
};

/** What a drop is decided from, and what a trial of it will be judged by. */
export const rationaleOf = (
  { planned, statementIds, writeIds, controlIds, unread }: DropInquiry,
  reason: string,
): DeploymentRationale => ({
  statementIds,
  costBefore: null,
  costAfter: null,
  reason: `${reason}; none of ${String(planned ?? 0)} statements is dearer without it than the gate allows${unread.length === 0 ? "" : `, and ${String(unread.length)} could not be read`}`,
  comparison: { writeIds, controlIds },
});

/** Begins the trial of an approved drop: hides the index after a baseline. What comes of it is `verify`'s. */
export const hideApproved = async (
  context: PilotContext,
  rollout: Rollout,
  /** Observes the target. */
  session: Session,
  approved: Deployment,
  trialMs: number,
): Promise<TrialOutcome> => {
  const { store, clock } = rollout;
  const before = await observeBaseline(session, store, context, context.settings);
  const deployment = (await withEvidence(store, approved, before)) ?? approved;
  const hidden = await hideIndex(rollout, deployment, new Date(clock.now().getTime() + trialMs));
  if (hidden.kind === "done") await markChange(session, store, ownRoles(context));
  return hidden;
};

/** Hides the index, unless it is on trial already, and observes to the end of the trial. Whoever breaks this off leaves it hidden: the next one goes on. */
const tryWithout = async (
  context: PilotContext,
  rollout: Rollout,
  session: Session,
  deployment: Deployment,
  trialMs: number,
): Promise<Dropped> => {
  const { settings } = context;
  if (deployment.state !== "trying") {
    const hidden = await hideApproved(context, rollout, session, deployment, trialMs);
    if (hidden.kind === "refused") return hidden;
  }
  const text = `${deployment.indexName} is hidden from the planner, and watched for ${formatDuration(trialMs)} at the most: Ctrl-C leaves that to \`verify\` and \`run\``;
  context.emit({ kind: "step", text });
  const { verdicts } = await pursueVerdicts({
    ...context,
    blockMs: settings.blockMs,
    waitMs: trialMs + 2 * settings.blockMs,
    minimumBlocks: settings.minimumBlocks,
    observe: session,
    rollout,
    excludeRoles: ownRoles(context),
  });
  const pursued = verdicts.find((one) => one.deployment.id === deployment.id);
  if (pursued === undefined) throw new Error("a trial was forgotten");
  return { kind: "tried", pursued };
};
