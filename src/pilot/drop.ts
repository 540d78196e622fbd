import { randomUUID } from "node:crypto";
import { failure } from "../errors.ts";
import { openSession } from "../postgres/index.ts";
import { advance, type DropOutcome, dropStanding, proposeDrop } from "../rollout/index.ts";
import { act } from "./apply.ts";
import { type DropInquiry, inquireDrop, onlyStanding } from "./drop-inquiry.ts";
import { withReplicas } from "./replicas.ts";
import { markChange } from "./since-change.ts";
import { ownRoles, type PilotContext, readStore, withSession } from "./target.ts";

export interface DropRequest {
  /** `name` or `schema.name`. */
  readonly index: string;
  readonly observeMs: number | null;
  readonly seed: number;
}

/** What speaks for and against dropping an index. Reads only. @throws IndexPilotError as `inquireDrop` does; `usage` where it is ours */
export const findDrop = (context: PilotContext, request: DropRequest): Promise<DropInquiry> =>
  withSession(openSession(context.observe, "observe"), async (session) => {
    const { oid, name } = await onlyStanding(session, request.index);
    const ours = await readStore(context, (store) =>
      store.deployments.list({ states: ["building", "verifying", "promoting", "settled", "retiring", "rolling_back"] }),
    );
    if (ours?.some(({ kind, indexOid }) => kind !== "reindex" && indexOid === oid) === true) {
      throw failure("usage", {
        problem: `${name} is IndexPilot's own`,
        hint: `\`indexpilot rollback ${name}\` takes it back`,
      });
    }
    return withReplicas(context.replicas ?? [], session, (replicas) =>
      inquireDrop(context, session, replicas, request),
    );
  });

/**
 * Drops an index, anybody's, in a person's name: when nothing speaks against it, concurrently and under a permit. What it was stays in the history, from which
 * it can be built again. @throws as {@link findDrop}
 */
export const dropIndex = async (
  context: PilotContext,
  request: DropRequest & { readonly actor: string },
): Promise<{ readonly inquiry: DropInquiry; readonly outcome: DropOutcome }> => {
  const inquiry = await findDrop(context, request);
  const { standing, objection, planned, statementIds, writeIds, controlIds, unread } = inquiry;
  const { actor } = request;
  const options = { actor, budgetBytes: context.settings.budgetBytes, acceptInstallation: false };
  return act(context, options, async ({ rollout, session }) => {
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
    const proposed = proposeDrop({
      id: randomUUID(),
      standing,
      rationale: {
        statementIds,
        costBefore: null,
        costAfter: null,
        reason: `asked for by ${actor}; none of ${String(planned ?? 0)} statements needs it`,
        comparison: { writeIds, controlIds },
      },
      now: clock.now(),
    });
    await store.deployments.insert(proposed, { event: "propose", actor });
    const deployment = await advance(rollout, proposed, "approve", { actor, detail: { by: actor } });
    if (deployment === null) throw new Error("a deployment that nobody else knows was changed by somebody else");
    const outcome = await dropStanding({ ...rollout, deployment });
    if (outcome.kind === "refused") {
      const detail = { code: outcome.code, reason: outcome.reason };
      await advance(rollout, deployment, "decline", { actor, detail });
    }
    if (outcome.kind === "dropped") await markChange(session, store, ownRoles(context));
    return { inquiry, outcome };
  });
};
