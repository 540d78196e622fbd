import { failure } from "../errors.ts";
import type { Deployment } from "../domain/index.ts";
import { askConsent, haltsOf, type RolloutContext, YIELD_MS } from "./context.ts";
import { ownershipComment } from "./names.ts";
import { describeSqlState } from "./reasons.ts";
import { type Removal, removeIndex } from "./remove.ts";
import { type CatalogIndex, readIndex, readNamesake } from "./statements.ts";
import { advance, transitions } from "./transitions.ts";

/** How a rollback ended. In `deferred` and `failed` the deployment stays `rolling_back`, and the next start goes on with it. */
export type DropOutcome =
  /** `wasThere`: false when somebody else had dropped it before. */
  | { readonly kind: "dropped"; readonly deployment: Deployment; readonly wasThere: boolean }
  | { readonly kind: "refused"; readonly code: string; readonly reason: string; readonly retryAt: Date | null }
  | {
      readonly kind: "deferred";
      readonly deployment: Deployment;
      readonly reason: string;
      readonly retryAt: Date | null;
    }
  | { readonly kind: "interrupted"; readonly deployment: Deployment }
  | {
      readonly kind: "failed";
      readonly deployment: Deployment;
      readonly sqlState: string | null;
      readonly reason: string;
    };

export interface DropOptions extends RolloutContext {
  /** In state `verifying`, `settled`, `rolling_back` or `rolled_back`. */
  readonly deployment: Deployment;
  /** Why, for the history. */
  readonly reason: string;
}

/** Ours: the store says so, on this table, with this OID, and the index carries our comment. */
const isOurs = (deployment: Deployment, index: CatalogIndex): boolean =>
  index.oid === deployment.indexOid && index.comment === ownershipComment(deployment.id);

/**
 * Drops an index of ours with `drop index concurrently`. Idempotent: dropped already is dropped.
 *
 * Locks: SHARE UPDATE EXCLUSIVE on the table; waits for the transactions that use it; reads and writes go on. Needs the table's owner role.
 * @throws IndexPilotError `index_not_ours` when it cannot be proved ours; `connection_lost`
 */
export const dropOurs = async (options: DropOptions): Promise<DropOutcome> => {
  const { build, actor, signal } = options;
  let { deployment } = options;
  if (deployment.state === "rolled_back") return { kind: "dropped", deployment, wasThere: false };
  if (deployment.state !== "rolling_back" && deployment.state !== "verifying" && deployment.state !== "settled") {
    const reason = `the deployment is ${deployment.state}: there is no finished index to drop`;
    return { kind: "refused", code: "nothing_built", reason, retryAt: null };
  }
  if (deployment.recorded !== null && deployment.recorded.constraint !== null) {
    const reason = "it belongs to a constraint, and constraints are not IndexPilot's to drop";
    return { kind: "refused", code: "constraint", reason, retryAt: null };
  }
  const index = await readIndex(build, deployment);
  // By OID ours is gone. An index of its name on its table is another one, even if REINDEX CONCURRENTLY made it of ours.
  const namesake = index ?? (await readNamesake(build, deployment));
  if (namesake !== null && !isOurs(deployment, namesake)) throw failure("index_not_ours", { index: namesake.name });
  // What is gone, perhaps with its table, needs nobody's consent.
  const answer = namesake === null ? null : await askConsent(options, "drop index", deployment);
  if (answer?.kind === "refused") return answer;
  if (deployment.state !== "rolling_back") {
    const begun = await advance(options, deployment, "roll_back", { actor, detail: { reason: options.reason } });
    if (begun === null) {
      return {
        kind: "refused",
        code: "state_changed",
        reason: "another process took this deployment up",
        retryAt: null,
      };
    }
    deployment = begun;
  }
  const removal =
    answer === null
      ? ({ kind: "gone" } as const)
      : await removeIndex(options, answer.consent, deployment, {
          prove: (found) => isOurs(options.deployment, found),
          signal,
          halts: haltsOf(options, "drop index"),
        });
  return concludeDrop(options, deployment, removal, index !== null);
};

/** Records how the removal of a deployment's index ended. @throws IndexPilotError `connection_lost` */
export const concludeDrop = async (
  context: RolloutContext,
  deployment: Deployment,
  removal: Removal,
  wasThere: boolean,
): Promise<DropOutcome> => {
  const { actor, clock } = context;
  if (removal.kind === "gone") {
    const dropped = await advance(context, deployment, "drop", { actor, detail: { wasThere } });
    const end = transitions[deployment.state].drop ?? deployment.state;
    return { kind: "dropped", deployment: dropped ?? { ...deployment, state: end }, wasThere };
  }
  const { ended } = removal;
  if (ended.kind === "failed" && ended.sqlState === null) throw ended.error;
  const postpone = async (detail: Readonly<Record<string, unknown>>): Promise<Deployment> =>
    (await advance(context, deployment, "postpone", { actor, detail })) ?? deployment;
  if (ended.kind === "cancelled" && ended.because === "lock_budget") {
    const { pid, waitedMs } = ended.victim;
    const waited = Math.round(waitedMs);
    return {
      kind: "deferred",
      deployment: await postpone({ because: "yield", victimPid: pid, waitedMs: waited }),
      reason: `backend ${String(pid)} had waited ${String(waited)} ms for the drop; it was cancelled`,
      retryAt: new Date(clock.now().getTime() + YIELD_MS),
    };
  }
  if (ended.kind === "cancelled" && ended.because === "halt") {
    const { code, reason, retryAt } = ended.objection;
    return { kind: "deferred", deployment: await postpone({ because: "yield", code, reason }), reason, retryAt };
  }
  if (ended.kind === "failed") {
    const { sqlState } = ended;
    const reason = describeSqlState(sqlState);
    return { kind: "failed", deployment: await postpone({ because: "fail", sqlState, reason }), sqlState, reason };
  }
  return { kind: "interrupted", deployment: await postpone({ because: "interrupt" }) };
};
