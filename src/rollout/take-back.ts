import type { Deployment, DeploymentState } from "../domain/index.ts";
import { renderDropParentIndex } from "../postgres/index.ts";
import { briefly } from "./briefly.ts";
import { askConsent, leftoverPatienceOf, lockBudgetOf, YIELD_MS } from "./context.ts";
import { dropOurs, type DropOptions, type DropOutcome } from "./drop.ts";
import { isPartitioned, readWhole, type Whole } from "./partitions.ts";
import { describeSqlState } from "./reasons.ts";
import { advance } from "./transitions.ts";

export interface TakeBackOptions extends DropOptions {
  /** A person said that a partitioned index whose parts are attached may be dropped, which locks the table and all partitions. */
  readonly blocking?: boolean;
}

const DROP_PAUSE_MS = 1_000;

/** Takes back what a deployment built, whatever that is. Idempotent. @throws as {@link dropOurs} does */
export const takeBack = async (options: TakeBackOptions): Promise<DropOutcome> => {
  const { build, store, deployment } = options;
  const parts = await store.deployments.parts(deployment.id);
  if (parts.length === 0 && !(await isPartitioned(build, deployment.tableOid))) return dropOurs(options);
  if (deployment.state === "rolled_back") return { kind: "dropped", deployment, wasThere: false };
  const whole = await readWhole(build, deployment);
  if (whole === null) return dropParts(options, parts);
  // Where it is under way, somebody has approved it before.
  if (options.blocking !== true && deployment.state !== "rolling_back") {
    const reason = `the indexes of its ${String(parts.length)} partitions are attached, so that it goes only with all of them, while reads and writes of the whole table stand still for a moment (--blocking, in a window of yours)`;
    return { kind: "refused", code: "attached", reason, retryAt: null };
  }
  return dropAttached(options, parts, whole);
};

const begin = async (options: TakeBackOptions, detail: Readonly<Record<string, unknown>>): Promise<Deployment | null> =>
  options.deployment.state === "rolling_back"
    ? options.deployment
    : advance(options, options.deployment, "roll_back", { actor: options.actor, detail });

const tooLate: DropOutcome = {
  kind: "refused",
  code: "state_changed",
  reason: "another process took this deployment up",
  retryAt: null,
};

/** States in which something of an index may exist. */
const present: ReadonlySet<DeploymentState> = new Set(["building", "verifying", "settled", "rolling_back"]);

/** Parts that are not attached go one by one, concurrently. */
const dropParts = async (options: TakeBackOptions, parts: readonly Deployment[]): Promise<DropOutcome> => {
  const { actor, reason } = options;
  if (options.deployment.state !== "promoting" && !present.has(options.deployment.state)) {
    const why = `the deployment is ${options.deployment.state}: there is nothing to take back`;
    return { kind: "refused", code: "nothing_built", reason: why, retryAt: null };
  }
  const deployment = await begin(options, { reason });
  if (deployment === null) return tooLate;
  let wasThere = false;
  for (const part of parts) {
    if (part.state === "approved") await advance(options, part, "decline", { actor, detail: { reason } });
    else if (present.has(part.state)) {
      const outcome = await dropOurs({ ...options, deployment: part });
      if (outcome.kind !== "dropped") return stayed(options, deployment, part, outcome);
      wasThere ||= outcome.wasThere;
    }
  }
  const dropped = await advance(options, deployment, "drop", { actor, detail: { parts: parts.length, wasThere } });
  return { kind: "dropped", deployment: dropped ?? { ...deployment, state: "rolled_back" }, wasThere };
};

const stayed = async (
  options: TakeBackOptions,
  deployment: Deployment,
  part: Deployment,
  outcome: Exclude<DropOutcome, { readonly kind: "dropped" }>,
): Promise<DropOutcome> => {
  const reason = `${part.indexName}: ${"reason" in outcome ? outcome.reason : "interrupted"}`;
  const { actor } = options;
  const postponed = await advance(options, deployment, "postpone", {
    actor,
    detail: { because: outcome.kind, reason },
  });
  const now = postponed ?? deployment;
  switch (outcome.kind) {
    case "interrupted":
      return { ...outcome, deployment: now };
    case "failed":
      return { ...outcome, deployment: now, reason };
    case "refused":
    case "deferred":
      return { kind: "deferred", deployment: now, reason, retryAt: outcome.retryAt };
  }
};

/**
 * Locks: ACCESS EXCLUSIVE on the table and every partition, for a few catalogue entries each; no longer than half the lock budget with the waiting, or it is given
 * up and tried again.
 */
const dropAttached = async (
  options: TakeBackOptions,
  parts: readonly Deployment[],
  whole: Whole,
): Promise<DropOutcome> => {
  const { build, actor, clock, reason, signal } = options;
  const answer = await askConsent(options, "drop index", options.deployment);
  if (answer.kind === "refused") return answer;
  const deployment = await begin(options, { reason, blocking: true });
  if (deployment === null) return tooLate;
  let sqlState: string | null = null;
  const started = clock.monotonicMs();
  for (;;) {
    if (signal?.aborted === true) break;
    const brief = await briefly(build, [renderDropParentIndex(whole)], lockBudgetOf(options) / 2);
    if (brief.kind === "done") {
      for (const part of parts) {
        const going = await advance(options, part, "roll_back", {
          actor,
          detail: { reason: "attached, and dropped with the whole" },
        });
        if (going !== null) await advance(options, going, "drop", { actor, detail: { wasThere: true } });
      }
      const dropped = await advance(options, deployment, "drop", {
        actor,
        detail: { parts: parts.length, wasThere: true },
      });
      return { kind: "dropped", deployment: dropped ?? { ...deployment, state: "rolled_back" }, wasThere: true };
    }
    ({ sqlState } = brief);
    if (clock.monotonicMs() - started + DROP_PAUSE_MS > leftoverPatienceOf(options)) break;
    await clock.sleep(DROP_PAUSE_MS, signal).catch(() => undefined);
  }
  const why = `the table is in use (${describeSqlState(sqlState)})`;
  const postponed = await advance(options, deployment, "postpone", { actor, detail: { reason: why, sqlState } });
  return {
    kind: "deferred",
    deployment: postponed ?? deployment,
    reason: why,
    retryAt: new Date(clock.now().getTime() + YIELD_MS),
  };
};
