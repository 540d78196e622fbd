import type { Deployment } from "../domain/index.ts";
import { renderCreateIndex, SqlState } from "../postgres/index.ts";
import {
  askConsent,
  type Consent,
  haltsOf,
  leftoverPatienceOf,
  lockBudgetOf,
  type RolloutContext,
  YIELD_MS,
} from "./context.ts";
import { finish, isAsIntended } from "./finish.ts";
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
import { type Ended, runWatched } from "./watched.ts";

/** How a build ended. In all but `built`, `leftover` says whether an invalid index had to be left for the next start to remove. */
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

export interface CreateOptions extends RolloutContext {
  /** In state `approved`, stored. */
  readonly deployment: Deployment;
  readonly onProgress?: (progress: BuildProgress) => void;
}

const refused = (code: string, reason: string): BuildOutcome => ({ kind: "refused", code, reason, retryAt: null });

/**
 * Builds an approved deployment's index with `create index concurrently`, under its temporary name; the intention is in the store before the
 * DDL is sent. Afterwards the catalogue decides what was built, not the statement's success.
 *
 * Locks: SHARE UPDATE EXCLUSIVE on the table; reads and writes go on. Waits for transactions older than itself. Needs the table's owner role
 * and CREATE on its schema.
 * @throws IndexPilotError `connection_lost`: the build may go on in the server; {@link reconcile} takes it up at the next start
 */
export const createIndex = async (options: CreateOptions): Promise<BuildOutcome> => {
  const { build, clock, actor, signal } = options;
  let { deployment } = options;
  if (deployment.state !== "approved") return refused("state_changed", `the deployment is ${deployment.state}`);
  if (signal?.aborted === true) return { kind: "interrupted", deployment, leftover: false };
  const { schema, name } = deployment.table;
  const table = await readTableName(build, deployment.tableOid);
  if (table?.schema !== schema || table.name !== name) {
    return refused("table_changed", "the table was dropped, renamed or made anew since this was decided");
  }
  if (await nameTaken(build, { schema, name: deployment.temporaryName })) {
    return refused("name_taken", `a relation named ${deployment.temporaryName} exists already, and is not ours`);
  }
  const answer = await askConsent(options, "create index", deployment);
  if (answer.kind === "refused") return answer;

  const begun = await advance(options, deployment, "begin", {
    actor,
    patch: { backend: await readBackend(build) },
    detail: { temporaryName: deployment.temporaryName, tableOid: deployment.tableOid },
  });
  if (begun === null) return refused("state_changed", "another process took this deployment up");
  deployment = begun;
  const started = clock.monotonicMs();
  const ended = await runWatched({
    sql: renderCreateIndex(deployment.intended, deployment.temporaryName, { concurrently: true }),
    build,
    watch: options.watch,
    clock,
    lockBudgetMs: lockBudgetOf(options),
    signal,
    halts: haltsOf(options, "create index"),
    onLook: ({ progress }) => {
      if (progress !== null) options.onProgress?.({ ...progress, elapsedMs: clock.monotonicMs() - started });
    },
  });
  if (ended.kind === "failed" && ended.sqlState === null) throw ended.error;
  return settleBuild(options, answer.consent, deployment, ended, clock.monotonicMs() - started);
};

const settleBuild = async (
  options: CreateOptions,
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
  if (index.usable && (await isAsIntended(options, deployment, index))) {
    const finished = await finish(options, deployment, index, "build", buildMs);
    switch (finished.kind) {
      case "finished":
        return { kind: "built", deployment: finished.deployment };
      case "postponed":
        return {
          kind: "deferred",
          deployment: finished.deployment,
          reason: "the index is built, but somebody holds a lock on it: the next start names it",
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
    }
  }
  const removal = await removeIndex(options, consent, deployment, leftover);
  return giveUp(options, deployment, ended, removal.kind);
};

/** Records why there is no index, and hands the deployment back. */
const giveUp = async (
  options: CreateOptions,
  deployment: Deployment,
  ended: Ended,
  removal: "gone" | "left",
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
  const reason = ended.kind === "failed" ? describeSqlState(sqlState) : "what was built is not what was intended";
  return {
    kind: "failed",
    deployment: await record("fail", { sqlState, reason }),
    sqlState,
    reason,
    leftover,
  };
};
