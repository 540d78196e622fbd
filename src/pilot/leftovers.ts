import { failure, type IndexPilotError } from "../errors.ts";
import { type Session, SqlState } from "../postgres/index.ts";
import { reconcile, type Reconciliation } from "../rollout/index.ts";
import type { Emit } from "./events.ts";
import type { Rollout } from "./rollout-context.ts";

/** What to say when the build lock is somebody else's. */
export const lockedOut = (): IndexPilotError =>
  failure("refused", {
    reason: "another IndexPilot is changing indexes of this database, or a build of one that was killed still runs",
    remedy: "wait for it to end; `indexpilot status` shows what is under way",
  });

/** Takes up what earlier processes left in the middle, and tells of it. */
export const takeUpLeftovers = async (
  rollout: Rollout,
  emit: Emit,
  options: { readonly goOn?: boolean } = {},
): Promise<readonly Reconciliation[]> => {
  const { store, build } = rollout;
  const begun = new Map((await store.deployments.list({ states: ["building"] })).map((one) => [one.id, one.backend]));
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
    const backend = begun.get(deployment.id) ?? null;
    const isLost = result === "missing" || result === "removed";
    if (isLost && backend !== null && (await restartedSince(build, backend.startedAt))) {
      // Whoever began it could tell nobody: its connections were gone with the server.
      const outcome = {
        kind: "failed",
        deployment,
        sqlState: SqlState.crashShutdown,
        reason,
        leftover: false,
      } as const;
      await rollout.report(deployment, outcome);
    }
  }
  return reconciled;
};

/**
 * Whether the server was started, or came back from a crash, after one of its backends began; all by its own clock. After a crash the checkpointer is started again
 * and the postmaster is not; a role that may not see the checkpointer has the postmaster's word.
 */
const restartedSince = async (session: Session, startedAt: string): Promise<boolean> => {
  const [row] = await session.query<{ restarted: boolean }>(
    `select coalesce((select max(backend_start) from pg_catalog.pg_stat_activity where backend_type = 'checkpointer'),
                     pg_catalog.pg_postmaster_start_time()) > to_timestamp($1::float8) as restarted`,
    [startedAt],
  );
  return row?.restarted === true;
};
