import type { Deployment } from "../domain/index.ts";
import { quoteLiteral, readIndexText, SqlState } from "../postgres/index.ts";
import { brieflyAgain } from "./briefly.ts";
import {
  askConsent,
  buildActOf,
  type Consent,
  haltsOf,
  leftoverPatienceOf,
  lockBudgetOf,
  type RolloutContext,
  YIELD_MS,
} from "./context.ts";
import { finish } from "./finish.ts";
import { describeSqlState } from "./reasons.ts";
import { removeIndex } from "./remove.ts";
import {
  type BuildProgress,
  type CatalogIndex,
  nameTaken,
  readBackend,
  readIndex,
  readTableName,
} from "./statements.ts";
import { advance } from "./transitions.ts";
import { buildStatement, isAsIntended } from "./wanted.ts";
import { type Ended, runWatched } from "./watched.ts";

/** How a build ended. In all but `built`, `leftover` says whether something of it had to be left for the next start to finish or to remove. */
export type BuildOutcome =
  | { readonly kind: "built"; readonly deployment: Deployment }
  /** Nothing was begun. */
  | { readonly kind: "refused"; readonly code: string; readonly reason: string; readonly retryAt: Date | null }
  /** It was begun and gave way: to somebody it made wait longer than the lock budget, or to a safeguard. */
  | {
      readonly kind: "deferred";
      readonly deployment: Deployment;
      readonly reason: string;
      readonly retryAt: Date | null;
      readonly leftover: boolean;
    }
  | { readonly kind: "interrupted"; readonly deployment: Deployment; readonly leftover: boolean }
  | {
      readonly kind: "failed";
      readonly deployment: Deployment;
      /** Null when it was not the server that said no. */
      readonly sqlState: string | null;
      readonly reason: string;
      readonly leftover: boolean;
    };

export interface BuildOptions extends RolloutContext {
  /** In state `approved`, stored. */
  readonly deployment: Deployment;
  readonly onProgress?: (progress: BuildProgress) => void;
}

export const refused = (code: string, reason: string): BuildOutcome => ({
  kind: "refused",
  code,
  reason,
  retryAt: null,
});

/**
 * Builds the index of an approved deployment concurrently, under its temporary name, and gives it its name; the intention is in the store before the
 * DDL is sent. Afterwards the catalogue decides what was built, not the statement's success.
 * @returns `built` with the deployment `verifying`, or `retiring` where it took the name of another index, which is then to be dropped
 * @throws IndexPilotError `connection_lost`: the build may go on in the server; `reconcile` takes it up at the next start
 */
export const runBuild = async (options: BuildOptions): Promise<BuildOutcome> => {
  const { build, clock, actor, signal } = options;
  const { schema, name } = options.deployment.table;
  let { deployment } = options;
  if (deployment.state !== "approved") return refused("state_changed", `the deployment is ${deployment.state}`);
  if (signal?.aborted === true) return { kind: "interrupted", deployment, leftover: false };
  const table = await readTableName(build, deployment.tableOid);
  if (table?.schema !== schema || table.name !== name) {
    return refused("table_changed", "the table was dropped, renamed or made anew since this was decided");
  }
  if (await nameTaken(build, { schema, name: deployment.temporaryName })) {
    return refused("name_taken", `a relation named ${deployment.temporaryName} exists already, and is not ours`);
  }
  const answer = await askConsent(options, buildActOf(deployment), deployment);
  if (answer.kind === "refused") return answer;

  const begun = await advance(options, deployment, "begin", {
    actor,
    patch: { backend: await readBackend(build) },
    detail: { temporaryName: deployment.temporaryName, tableOid: deployment.tableOid },
  });
  if (begun === null) return refused("state_changed", "another process took this deployment up");
  deployment = begun;
  const started = clock.monotonicMs();
  const ended = await carryOut(options, buildStatement(deployment, table), (progress) =>
    options.onProgress?.({ ...progress, elapsedMs: clock.monotonicMs() - started }),
  );
  if (ended.kind === "failed" && ended.sqlState === null) throw ended.error;
  return settleBuild(options, answer.consent, deployment, ended, clock.monotonicMs() - started);
};

/** Sends the DDL. The parent of a partitioned index has no rows: it is made in a short transaction, for there is no concurrent way. */
const carryOut = async (
  options: BuildOptions,
  sql: string,
  onProgress: (progress: Omit<BuildProgress, "elapsedMs">) => void,
): Promise<Ended> => {
  const { build, watch, clock, signal, deployment } = options;
  const { recorded } = deployment;
  const lockBudgetMs = lockBudgetOf(options);
  if (recorded !== null) {
    // A recorded definition leaves the tablespace out, and has to be read as it was written.
    await build.query(`set default_tablespace = ${quoteLiteral(recorded.tablespace ?? "")}`);
  }
  try {
    if (recorded !== null && readIndexText(recorded.definition).only) {
      const { ended, isLocked } = await brieflyAgain(options, [sql]);
      if (ended.kind === "done") return ended;
      if (!isLocked) return { kind: "failed", sqlState: ended.sqlState, error: null };
      const retryAt = new Date(clock.now().getTime() + YIELD_MS);
      const reason = "others use the table, so that there was no moment for an entry in the catalogue";
      return { kind: "cancelled", because: "halt", objection: { code: "table_locked", reason, retryAt } };
    }
    return await runWatched({
      sql,
      build,
      watch,
      clock,
      lockBudgetMs,
      signal,
      halts: haltsOf(options, buildActOf(deployment)),
      onLook: ({ progress }) => {
        if (progress !== null) onProgress(progress);
      },
    });
  } finally {
    if (recorded !== null) await build.query("reset default_tablespace").catch(() => undefined);
  }
};

const settleBuild = async (
  options: BuildOptions,
  consent: Consent,
  deployment: Deployment,
  ended: Ended,
  buildMs: number,
): Promise<BuildOutcome> => {
  // With this error nothing was made: whatever has the name came from somebody else in the last instant.
  if (ended.kind === "failed" && ended.sqlState === SqlState.duplicateTable) {
    return giveUp(options, deployment, ended, "gone");
  }
  const index = await readIndex(options.build, deployment);
  if (index === null) return giveUp(options, deployment, ended, "gone");
  const leftover = {
    prove: (found: CatalogIndex) => found.oid === index.oid && found.name === deployment.temporaryName,
    patienceMs: leftoverPatienceOf(options),
  };
  if (index.usable && (await isAsIntended(options.build, deployment, index))) {
    const finished = await finish(options, deployment, index, "build", buildMs);
    switch (finished.kind) {
      case "finished":
        return { kind: "built", deployment: finished.deployment };
      case "postponed":
        return {
          kind: "deferred",
          deployment: finished.deployment,
          reason: "the index is built, but somebody holds a lock in the way of its name: the next start goes on",
          retryAt: new Date(options.clock.now().getTime() + YIELD_MS),
          leftover: true,
        };
      case "vanished":
        return giveUp(options, finished.deployment, ended, "gone");
      case "superseded":
        if (finished.deployment?.indexOid === index.oid && finished.deployment.state !== "failed") {
          return { kind: "built", deployment: finished.deployment };
        }
        // It gave the deployment up while our build was still on its way, so the index belongs to nothing any more.
        await removeIndex(options, consent, deployment, leftover);
        return refused("state_changed", "another process took this deployment over");
      case "rejected": {
        const removal = await removeIndex(options, consent, finished.deployment, leftover);
        const { sqlState } = finished;
        const reason = sqlState === null ? whyRejected(deployment) : describeSqlState(sqlState);
        return giveUp(options, finished.deployment, { kind: "failed", sqlState, error: null }, removal.kind, reason);
      }
    }
  }
  const removal = await removeIndex(options, consent, deployment, leftover);
  return giveUp(options, deployment, ended, removal.kind);
};

/** Why a valid index does not get its name. */
export const whyRejected = ({ replaces, indexName }: Deployment): string =>
  replaces === null
    ? `a relation named ${indexName} exists already`
    : `${indexName} is not what it was when this was decided: it stays as it is`;

/** Records why there is no index, and hands the deployment back. */
export const giveUp = async (
  options: BuildOptions,
  deployment: Deployment,
  ended: Ended,
  removal: "gone" | "left",
  rejection?: string,
): Promise<BuildOutcome> => {
  const { actor, clock } = options;
  const leftover = removal === "left";
  const record = async (
    event: "yield" | "interrupt" | "fail",
    detail: Readonly<Record<string, unknown>>,
  ): Promise<Deployment> => {
    const next = await advance(options, deployment, leftover ? "postpone" : event, {
      actor,
      detail: { because: event, ...detail },
      patch: { backend: null },
    });
    return next ?? deployment;
  };
  if (ended.kind === "cancelled" && ended.because === "lock_budget") {
    const { pid, waitedMs } = ended.victim;
    const waited = Math.round(waitedMs);
    return {
      kind: "deferred",
      deployment: await record("yield", { victimPid: pid, waitedMs: waited, lockBudgetMs: lockBudgetOf(options) }),
      reason: `backend ${String(pid)} had waited ${String(waited)} ms for the build; it was cancelled`,
      retryAt: new Date(clock.now().getTime() + YIELD_MS),
      leftover,
    };
  }
  if (ended.kind === "cancelled" && ended.because === "halt") {
    const { code, reason, retryAt } = ended.objection;
    return { kind: "deferred", deployment: await record("yield", { code, reason }), reason, retryAt, leftover };
  }
  if (ended.kind === "cancelled") {
    return { kind: "interrupted", deployment: await record("interrupt", {}), leftover };
  }
  const sqlState = ended.kind === "failed" ? ended.sqlState : null;
  const reason =
    rejection ?? (ended.kind === "failed" ? describeSqlState(sqlState) : "what was built is not what was intended");
  return {
    kind: "failed",
    deployment: await record("fail", { sqlState, reason }),
    sqlState,
    reason,
    leftover,
  };
};
