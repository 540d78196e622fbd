import type { Deployment } from "../domain/index.ts";
import { failure, IndexPilotError } from "../errors.ts";
import { renderProveIdle, type Session, SqlState, sqlStateOf } from "../postgres/index.ts";
import { askConsent, leftoverPatienceOf, lockBudgetOf, type RolloutContext } from "./context.ts";
import type { DropOutcome } from "./drop.ts";
import { finish, isAsIntended } from "./finish.ts";
import { continueParts } from "./partitioned.ts";
import { isPartitioned } from "./partitions.ts";
import { promote } from "./promote.ts";
import { removeIndex } from "./remove.ts";
import { type Backend, cancelBackend, readBackendActivity, readIndex, readTableName } from "./statements.ts";
import { takeBack } from "./take-back.ts";
import { advance } from "./transitions.ts";
import { nextLookMs, watcherOver } from "./watched.ts";

/** What was made of a deployment that an earlier process had left in the middle. */
export interface Reconciliation {
  /** As it is now. */
  readonly deployment: Deployment;
  readonly result:
    /** The index was valid and as intended: it is named and goes on to its verdict. */
    | "adopted"
    /** On a partitioned table: the verdict was reached, and the parts are attached. */
    | "promoted"
    /** An invalid leftover was dropped. */
    | "removed"
    /** Nothing of it exists. */
    | "missing"
    | "rolled_back"
    /** Its backend still builds; look again later. */
    | "still_running"
    /** Somebody is in the way, or a safeguard refused; look again later. */
    | "postponed"
    /** Another process was quicker. */
    | "handled_elsewhere";
  readonly reason: string;
}

interface ReconcileOptions extends RolloutContext {
  /** How long to wait for a build that goes on, milliseconds. */
  readonly waitMs?: number;
  /** Whether builds on partitioned tables go on with the partitions that are still missing, and verdicts that were reached are carried out; default true. */
  readonly goOn?: boolean;
  /** Told once per build that is waited for. */
  readonly onWaiting?: (deployment: Deployment) => void;
}

/** A concurrent build of a large table takes minutes; one that takes longer is adopted at the next start. */
const DEFAULT_WAIT_MS = 600_000;
/** An idle backend belongs to a process between two statements, or to one that died and whose connection the server has not missed yet. */
const IDLE_MS = 5_000;

/**
 * Takes up what earlier processes left in the middle: call it at every start, before anything new is begun. Looks only at deployments of the
 * store that are `building`, `promoting` or `rolling_back`; indexes of others, invalid or being built, are never touched.
 * @throws IndexPilotError `interrupted` (the signal), `connection_lost`
 */
export const reconcile = async (options: ReconcileOptions): Promise<readonly Reconciliation[]> => {
  const results: Reconciliation[] = [];
  const { store, signal } = options;
  const left = await store.deployments.list({ states: ["building", "promoting", "rolling_back"] });
  // What is built of parts goes on when each of them is settled.
  for (const { id } of left.toSorted((a, b) => Number(a.partOf === undefined) - Number(b.partOf === undefined))) {
    if (signal?.aborted === true) throw failure("interrupted", {});
    const deployment = await store.deployments.get(id);
    if (deployment?.state === "rolling_back") results.push(await reconcileDrop(options, deployment));
    else if (deployment?.state === "promoting") results.push(await reconcilePromotion(options, deployment));
    else if (deployment?.state === "building") {
      const whole = await isPartitioned(options.build, deployment.tableOid);
      results.push(await (whole ? reconcileParts(options, deployment) : reconcileBuild(options, deployment)));
    }
  }
  return results;
};

const notNow = (deployment: Deployment): Reconciliation => ({
  deployment,
  result: "postponed",
  reason: "`apply` and `verify` go on with it",
});

const reconcileParts = async (options: ReconcileOptions, deployment: Deployment): Promise<Reconciliation> => {
  if (options.goOn === false) return notNow(deployment);
  const outcome = await continueParts({ ...options, deployment });
  switch (outcome.kind) {
    case "built":
      return { deployment: outcome.deployment, result: "adopted", reason: "every partition has its index" };
    case "refused":
      return { deployment, result: "handled_elsewhere", reason: outcome.reason };
    case "interrupted":
      throw failure("interrupted", {});
    case "deferred":
      return { deployment: outcome.deployment, result: "postponed", reason: outcome.reason };
    case "failed":
      return {
        deployment: outcome.deployment,
        result: outcome.leftover ? "postponed" : "removed",
        reason: outcome.reason,
      };
  }
};

const reconcilePromotion = async (options: ReconcileOptions, deployment: Deployment): Promise<Reconciliation> => {
  if (options.goOn === false) return notNow(deployment);
  const outcome = await promote(options, deployment);
  switch (outcome.kind) {
    case "settled":
      return { deployment: outcome.deployment, result: "promoted", reason: "its partitions' indexes are attached" };
    case "postponed":
      return { deployment: outcome.deployment, result: "postponed", reason: outcome.reason };
    case "superseded":
      return { deployment, result: "handled_elsewhere", reason: "another process took it up" };
  }
};

const reconcileDrop = async (options: ReconcileOptions, deployment: Deployment): Promise<Reconciliation> => {
  const postponed = async (reason: string): Promise<Reconciliation> => ({
    deployment:
      (await advance(options, deployment, "postpone", { actor: options.actor, detail: { reason } })) ?? deployment,
    result: "postponed",
    reason,
  });
  let outcome: DropOutcome;
  try {
    outcome = await takeBack({ ...options, deployment, reason: "an earlier process had begun to drop it" });
  } catch (error) {
    if (error instanceof IndexPilotError && error.code === "index_not_ours") return postponed(error.message);
    throw error;
  }
  if (outcome.kind === "interrupted") throw failure("interrupted", {});
  if (outcome.kind === "refused") return postponed(outcome.reason);
  return outcome.kind === "dropped"
    ? { deployment: outcome.deployment, result: "rolled_back", reason: "the index is gone" }
    : { deployment: outcome.deployment, result: "postponed", reason: outcome.reason };
};

/** Whether the recorded backend of a deployment still builds. */
export const isBuilding = async (session: Session, { backend }: Deployment): Promise<boolean> =>
  backend !== null && (await readBackendActivity(session, backend)) === "active";

/** Cancels a build that outlived its process; the next start removes what it leaves. Needs the role that began it. */
export const cancelRecorded = async (session: Session, deployment: Deployment): Promise<void> => {
  if (deployment.backend !== null && (await isBuilding(session, deployment))) {
    await cancelBackend(session, deployment.backend.pid);
  }
};

type Waited = "ended" | "still_running" | "handled_elsewhere";

/** Waits for the backend of a build to end, looking after those it makes wait as its own process would. */
const waitForBackend = async (options: ReconcileOptions, deployment: Deployment, backend: Backend): Promise<Waited> => {
  const { build, clock, store, signal } = options;
  // Our own session cannot be busy with it.
  if (backend.pid === build.pid) return "ended";
  const watcher = watcherOver(options.watch);
  const started = clock.monotonicMs();
  let lastActive: number | null = null;
  try {
    for (;;) {
      const activity = await readBackendActivity(build, backend);
      if (activity === "gone") return "ended";
      if (lastActive === null) options.onWaiting?.(deployment);
      const now = clock.monotonicMs();
      if (activity === "active" || lastActive === null) lastActive = now;
      if ((await store.deployments.get(deployment.id))?.state !== "building") return "handled_elsewhere";
      if (now - lastActive > IDLE_MS) return "ended";
      if (now - started > (options.waitMs ?? DEFAULT_WAIT_MS)) return "still_running";
      const watched = activity === "active" ? await watcher.look(backend.pid) : null;
      const victim = watched?.victim ?? null;
      const inTheWay = victim !== null && victim.waitedMs >= lockBudgetOf(options);
      const halted = activity === "active" && ((await options.halts?.("create index")) ?? null) !== null;
      if (inTheWay || halted) await watcher.cancel(backend.pid);
      if (signal?.aborted === true) throw failure("interrupted", {});
      await clock.sleep(nextLookMs(watched, lockBudgetOf(options)), signal).catch(() => undefined);
    }
  } finally {
    await watcher.close();
  }
};

/**
 * Proves that nobody builds an index on the table: every build holds SHARE UPDATE EXCLUSIVE to its end, and we get it without waiting.
 * Held for one round trip; reads and writes go on. Needs the table's owner role.
 */
const isIdle = async ({ build }: ReconcileOptions, deployment: Deployment): Promise<boolean> => {
  const table = await readTableName(build, deployment.tableOid);
  if (table === null) return true;
  await build.query("begin");
  try {
    await build.query(renderProveIdle(table));
    return true;
  } catch (error) {
    if (sqlStateOf(error) === SqlState.lockNotAvailable) return false;
    throw error;
  } finally {
    await build.query("rollback");
  }
};

const reconcileBuild = async (options: ReconcileOptions, deployment: Deployment): Promise<Reconciliation> => {
  const { build, actor, store } = options;
  const waited = deployment.backend === null ? "ended" : await waitForBackend(options, deployment, deployment.backend);
  const elsewhere = async (): Promise<Reconciliation> => ({
    deployment: (await store.deployments.get(deployment.id)) ?? deployment,
    result: "handled_elsewhere",
    reason: "another process took it up",
  });
  if (waited === "handled_elsewhere") return elsewhere();
  const step = async (
    event: "fail" | "postpone",
    result: Reconciliation["result"],
    reason: string,
  ): Promise<Reconciliation> => {
    const next = await advance(options, deployment, event, {
      actor,
      detail: { result, reason },
      ...(event === "fail" ? { patch: { backend: null } } : {}),
    });
    return next === null ? elsewhere() : { deployment: next, result, reason };
  };
  if (waited === "still_running") return step("postpone", "still_running", "its backend is still building the index");

  const index = await readIndex(build, deployment);
  if (index === null)
    return step("fail", "missing", "the process that built it ended, and nothing of the index exists");
  if (index.usable && (await isAsIntended(options, deployment, index))) {
    const finished = await finish(options, deployment, index, "adopt", null);
    switch (finished.kind) {
      case "finished":
        return {
          deployment: finished.deployment,
          result: "adopted",
          reason: "the build had ended by itself, valid and as intended",
        };
      case "postponed":
        return { deployment: finished.deployment, result: "postponed", reason: "somebody holds a lock on the index" };
      case "vanished":
        return step("fail", "missing", "somebody dropped the index");
      case "superseded":
        return elsewhere();
    }
  }
  if (!(await isIdle(options, deployment))) {
    return step("postpone", "postponed", "an index is being built on the table, or it is being vacuumed or altered");
  }
  const answer = await askConsent(options, "drop index", deployment);
  if (answer.kind === "refused") return step("postpone", "postponed", answer.reason);
  const removal = await removeIndex(options, answer.consent, deployment, {
    prove: (found) =>
      found.oid === index.oid && (found.name === deployment.temporaryName || found.oid === deployment.indexOid),
    patienceMs: leftoverPatienceOf(options),
    signal: options.signal,
  });
  if (removal.kind === "left") {
    const { ended } = removal;
    if (ended.kind === "failed" && ended.sqlState === null) throw ended.error;
    return step("postpone", "postponed", "the leftover cannot be dropped yet: open transactions use its table");
  }
  return step("fail", "removed", "the process that built it ended, and the invalid leftover was dropped");
};
