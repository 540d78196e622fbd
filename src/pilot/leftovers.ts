import { failure, type IndexPilotError } from "../errors.ts";
import { reconcile, type Reconciliation, type RolloutContext } from "../rollout/index.ts";
import type { Emit } from "./events.ts";

/** What to say when the build lock is somebody else's. */
export const lockedOut = (): IndexPilotError =>
  failure("refused", {
    reason: "another IndexPilot is changing indexes of this database, or a build of one that was killed still runs",
    remedy: "wait for it to end; `indexpilot status` shows what is under way",
  });

/** Takes up what earlier processes left in the middle, and tells of it. */
export const takeUpLeftovers = async (
  rollout: RolloutContext,
  emit: Emit,
  options: { readonly goOn?: boolean } = {},
): Promise<readonly Reconciliation[]> => {
  const reconciled = await reconcile({
    ...rollout,
    ...options,
    onWaiting: (deployment) => {
      emit({
        kind: "step",
        text: `waiting for the build of ${deployment.indexName}, which outlived the process that began it`,
      });
    },
  });
  for (const { deployment, result, reason } of reconciled) {
    emit({
      kind: "note",
      text: `${deployment.indexName}, left by an earlier run: ${result.replaceAll("_", " ")} (${reason})`,
    });
  }
  return reconciled;
};
