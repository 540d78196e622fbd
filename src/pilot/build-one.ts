import type { Deployment } from "../domain/index.ts";
import { IndexPilotError } from "../errors.ts";
import { SqlState } from "../postgres/index.ts";
import { advance, type BuildOutcome, type BuildProgress, buildIndex } from "../rollout/index.ts";
import type { Rollout } from "./rollout-context.ts";
import type { PilotContext } from "./target.ts";

/**
 * Carries out one approved deployment, tells of its progress, and tells the breakers how it ended.
 * @throws IndexPilotError `connection_lost`, which is held against the server as far as the store can still be reached
 */
export const buildOne = async (
  context: PilotContext,
  rollout: Rollout,
  deployment: Deployment,
): Promise<BuildOutcome> => {
  const onProgress = (progress: BuildProgress): void => context.emit(describeProgress(deployment, progress));
  try {
    const outcome = await buildIndex({ ...rollout, deployment, onProgress });
    await rollout.report(deployment, outcome);
    return outcome;
  } catch (error) {
    if (!(error instanceof IndexPilotError) || error.code !== "connection_lost") throw error;
    const lost = {
      kind: "failed",
      deployment,
      sqlState: SqlState.connectionFailure,
      reason: error.message,
      leftover: true,
    } as const;
    try {
      await rollout.report(deployment, lost);
    } catch (second) {
      // The store's connection is gone as well: whoever takes the build up at the next start sees that the server was restarted.
      if (!(second instanceof IndexPilotError)) throw second;
    }
    throw error;
  }
};

/**
 * The same for a person who waits for it: what gave way or was refused is told, and is not done later behind their back.
 * @throws IndexPilotError `connection_lost`
 */
export const buildNow = async (
  context: PilotContext,
  rollout: Rollout,
  deployment: Deployment,
): Promise<BuildOutcome> => {
  const outcome = await buildOne(context, rollout, deployment);
  const now = outcome.kind === "built" ? null : await rollout.store.deployments.get(deployment.id);
  if (now?.state === "approved") {
    const code = outcome.kind === "refused" ? outcome.code : outcome.kind;
    const reason = "reason" in outcome ? outcome.reason : "it was interrupted";
    await advance(rollout, now, "decline", { actor: rollout.actor, detail: { code, reason } });
  }
  return outcome;
};

const describeProgress = (
  deployment: Deployment,
  progress: BuildProgress,
): { readonly kind: "progress"; readonly share: number | null; readonly text: string } => {
  const [done, total] =
    progress.blocksTotal > 0
      ? [progress.blocksDone, progress.blocksTotal]
      : [progress.tuplesDone, progress.tuplesTotal];
  const waiting = progress.waitsForPid === null ? "" : `, waits for backend ${String(progress.waitsForPid)}`;
  return {
    kind: "progress",
    share: total > 0 ? done / total : null,
    text: `${deployment.indexName}: ${progress.phase}${waiting}`,
  };
};
