import type { Deployment } from "../domain/index.ts";
import { failure } from "../errors.ts";
import { openSession } from "../postgres/index.ts";
import { type DropOutcome, findOurs, takeBack } from "../rollout/index.ts";
import type { Store } from "../store/index.ts";
import { experimentOf, howToEnd } from "./held.ts";
import { markChange } from "./since-change.ts";
import { ownRoles, type PilotContext, readStore, withSession } from "./target.ts";
import { takeUpLeftovers } from "./leftovers.ts";
import { withRollout } from "./verify.ts";

/** What a rollback would take back. */
export interface Rollbackable {
  readonly deployment: Deployment;
  /** The index is not in the catalogue any more: there is nothing to drop. */
  readonly gone: boolean;
}

const only = async (store: Store, index: string): Promise<Rollbackable> => {
  const found = await findOurs(store, index);
  const gone = await store.deployments.gone();
  const standing = found.filter(({ id }) => !gone.has(id));
  // Of what is gone there may be several of one name, and any of them is as good.
  const [deployment, second] = standing.length > 0 ? standing : found.slice(0, 1);
  if (deployment === undefined) throw failure("index_not_ours", { index });
  if (deployment.partOf !== undefined) {
    throw failure("usage", {
      problem: `${index} is the part of an index on a partitioned table`,
      hint: "roll that one back; `indexpilot status` shows it",
    });
  }
  if (second !== undefined) {
    throw failure("usage", {
      problem: `several schemas have an index of ours named ${index}`,
      hint: `write ${deployment.table.schema}.${index} or ${second.table.schema}.${index}`,
    });
  }
  const experiment = await experimentOf(store, deployment);
  if (experiment !== null) {
    throw failure("usage", {
      problem: `${index} is on trial in experiment ${String(experiment.number)}`,
      hint: howToEnd(experiment),
    });
  }
  return { deployment, gone: gone.has(deployment.id) };
};

/**
 * The deployment that a rollback of this index would take back. Reads only.
 * @throws IndexPilotError `store_missing`, `index_not_ours`, `usage` when the name is ambiguous, or an experiment's
 */
export const findRollback = async (context: PilotContext, index: string): Promise<Rollbackable> => {
  const found = await readStore(context, (store) => only(store, index));
  if (found === null) throw failure("store_missing", {});
  return found;
};

/** Drops an index of ours, concurrently and under a permit. @throws as {@link findRollback}; `refused` */
export const rollBack = (
  context: PilotContext,
  options: {
    readonly index: string;
    readonly actor: string;
    /** Also where that locks a partitioned table and all its partitions for a moment. */
    readonly blocking?: boolean;
  },
): Promise<DropOutcome> =>
  withRollout(context, { name: options.actor, consents: true }, async (rollout) => {
    // What is to go need not be finished first.
    await takeUpLeftovers(rollout, context.emit, { goOn: false });
    const { deployment } = await only(rollout.store, options.index);
    const { blocking = false } = options;
    const reason = `asked for by ${options.actor}`;
    const outcome = await takeBack({ ...rollout, deployment, blocking, reason });
    if (outcome.kind === "dropped" && outcome.wasThere) {
      await withSession(openSession(context.observe, "observe"), (observe) =>
        markChange(observe, rollout.store, ownRoles(context)),
      );
    }
    return outcome;
  });
