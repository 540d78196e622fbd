import type { Settings } from "../config/index.ts";
import type { Block, Deployment, EvidencePlan, Verdict } from "../domain/index.ts";
import type { Session } from "../postgres/index.ts";
import type { Clock } from "../runtime/index.ts";
import {
  advance,
  dropStanding,
  type RolloutContext,
  settleIndex,
  showIndex,
  takeBack,
  trialEnd,
} from "../rollout/index.ts";
import type { Store } from "../store/index.ts";
import { isDecided, judge } from "../verification/index.ts";
import type { Emit } from "./events.ts";
import { heldByExperiments } from "./held.ts";
import { sampleLoad } from "./load.ts";
import { observeBlocks } from "./observe.ts";
import { saveBlock } from "./record.ts";
import { markChange } from "./since-change.ts";
import { measuredChange, predictedChange } from "./track-record.ts";

export interface PursuitInput {
  /** Observes; not one of the acting sessions. */
  readonly observe: Session;
  readonly rollout: RolloutContext;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly emit: Emit;
  readonly blockMs: number;
  readonly waitMs: number;
  /** Write down what is still undecided when the time is up. Default true. */
  readonly noteUndecided?: boolean;
  /** Blocks before the first look, at least 5. */
  readonly minimumBlocks: number;
  readonly settings: Settings;
  readonly excludeRoles: readonly string[];
}

/** What became of one deployment's verdict. `kept` and `rolled back` are final; `pending` goes on with the next `verify`. */
export interface Pursued {
  readonly deployment: Deployment;
  readonly verdict: Verdict | null;
  readonly result: "kept" | "dropped" | "rolled back" | "rollback postponed" | "pending";
  readonly reason: string;
}

/** All of them, and the blocks that were observed after the last change. */
export interface Pursuit {
  readonly verdicts: readonly Pursued[];
  readonly after: readonly Block[];
  /** How long the next block can wait: 0 while there is little evidence yet. */
  readonly pauseMs: number;
}

/** An hour of blocks, as they are by default: what a change does at once has been seen. A trial of a week would be a hundred thousand, and nobody the wiser. */
const MANY_BLOCKS = 720;

interface Case {
  deployment: Deployment;
  readonly evidence: EvidencePlan;
  readonly before: readonly Block[];
  /** Names of indexes whose verdict rests on some of the same statements and the same blocks. */
  readonly together: readonly string[];
}

/**
 * Observes block after block and judges each deployment that is `verifying` after each, until all are decided or the time is up. Better is kept; worse and equivalent are rolled back, the first because it harms, the second because an index that brings nothing
 * still costs every write. Undecided stays `verifying`. When there are many blocks, further ones are observed as often as the server's everyday load is.
 */
export const pursueVerdicts = async (input: PursuitInput): Promise<Pursuit> => {
  const { rollout, clock, emit } = input;
  const { store } = rollout;
  const done: Pursued[] = [];
  let open: Case[] = [];
  // A part has no verdict of its own, and what is on trial in an experiment has that one's.
  const held = await heldByExperiments(store);
  const pending = (await store.deployments.list({ states: ["verifying", "trying"] })).filter(
    ({ id, partOf }) => partOf === undefined && !held.has(id),
  );
  for (const deployment of pending) {
    const opened = await openCase(store, deployment, pending);
    if (typeof opened === "string")
      done.push({ deployment, verdict: deployment.verdict, result: "pending", reason: opened });
    else open.push(opened);
  }
  if (open.length === 0) return { verdicts: done, after: [], pauseMs: 0 };

  const deadline = clock.monotonicMs() + input.waitMs;
  let after = await blocksSinceLastChange(store);
  const pauseMs = (): number => (after.length < MANY_BLOCKS ? 0 : input.settings.observeEveryMs);
  const lookAtAll = async (atDeadline: boolean): Promise<void> => {
    for (const one of open) {
      const settled = await look(input, one, after, atDeadline);
      if (settled === null) continue;
      done.push(settled);
      open = open.filter((other) => other !== one);
      // A drop changes what the others run beside: their evidence begins anew.
      if (settled.result === "rolled back" || settled.result === "dropped") {
        after = [];
        await markChange(input.observe, store, input.excludeRoles);
      }
    }
  };
  for await (const { block, snapshot } of observeBlocks({ ...input, session: input.observe, pauseMs })) {
    await saveBlock(store, block, snapshot);
    await sampleLoad(input.observe, store, input);
    after.push(block);
    emit({
      kind: "progress",
      share: Math.min(1, 1 - (deadline - clock.monotonicMs()) / input.waitMs),
      text: `observing: ${String(after.length)} blocks after the change, ${String(open.length)} verdicts open${block.voidReason === null ? "" : `; void: ${block.voidReason}`}`,
    });
    const isLast = clock.monotonicMs() + pauseMs() + input.blockMs > deadline;
    await lookAtAll(isLast && input.noteUndecided !== false);
    if (isLast || open.length === 0) break;
  }
  for (const one of open) {
    done.push({
      deployment: one.deployment,
      verdict: one.deployment.verdict,
      result: "pending",
      reason: one.deployment.verdict?.reason ?? "too few blocks have been observed since the build",
    });
  }
  return { verdicts: done, after, pauseMs: pauseMs() };
};

const openCase = async (
  store: Store,
  deployment: Deployment,
  pending: readonly Deployment[],
): Promise<Case | string> => {
  const { evidence } = deployment.rationale;
  if (evidence === undefined) return "nothing was observed before the build, so that nothing can be compared";
  const from = new Date(evidence.baselineFrom);
  const { blocks } = await store.observations.readBlocks({ from, to: new Date(evidence.baselineTo) });
  const before = blocks.filter((block) => block.startedAt.getTime() >= from.getTime());
  const served = new Set(deployment.rationale.statementIds);
  const together = pending
    .filter((other) => other.id !== deployment.id && other.rationale.statementIds.some((id) => served.has(id)))
    .map((other) => other.indexName);
  return { deployment, evidence, before, together };
};

/** Blocks wholly after the last time we built or dropped anything here. A rebuilt index is the same index: no plan changes. */
const blocksSinceLastChange = async (store: Store): Promise<Block[]> => {
  const changes = (await store.deployments.history()).filter(
    (event) =>
      (event.from === "building" && event.to === "verifying") ||
      event.to === "rolled_back" ||
      (event.to === "done" && event.event !== "reindex") ||
      (event.to === "trying" && event.event === "check"),
  );
  const last = changes.at(-1)?.at;
  if (last === undefined) return [];
  const { blocks } = await store.observations.readBlocks({ from: last });
  return blocks.filter((block) => block.startedAt.getTime() >= last.getTime());
};

/**
 * A hidden index comes back as soon as something is worse for it, and is dropped when its trial is over and it is shown that nothing is: what is not known is no reason to drop.
 * @returns null while the trial goes on
 */
const lookAtTrial = async (
  input: PursuitInput,
  { deployment, before }: Case,
  verdict: Verdict,
  after: readonly Block[],
): Promise<Pursued | null> => {
  const { rollout, clock } = input;
  const { store } = rollout;
  const isWorse = verdict.outcome === "worse";
  const end = await trialEnd(rollout, deployment);
  if (!isWorse && (end === null || clock.now() < end || !isDecided(verdict))) return null;
  await store.decisions.record({
    at: clock.now(),
    subject: "trial",
    deploymentId: deployment.id,
    rule: "verification.judge",
    outcome: verdict.outcome,
    code: isWorse ? "worse" : "trial_over",
    reason: verdict.reason,
    inputs: { blocksBefore: before.length, blocksAfter: after.length, until: end?.toISOString() ?? null },
  });
  const { reason } = verdict;
  if (isWorse) {
    const shown = await showIndex(rollout, deployment, `worse without it: ${reason}`);
    return shown.kind === "done"
      ? { deployment: shown.deployment, verdict, result: "rolled back", reason }
      : { deployment, verdict, result: "rollback postponed", reason: shown.reason };
  }
  const dropped = await dropStanding({ ...rollout, deployment });
  if (dropped.kind === "dropped") return { deployment: dropped.deployment, verdict, result: "dropped", reason };
  return {
    deployment,
    verdict,
    result: "pending",
    reason: dropped.kind === "interrupted" ? "interrupted" : dropped.reason,
  };
};

/** Looking costs nothing; what is still undecided is written down once, when the time is up. @returns null while it is open */
const look = async (
  input: PursuitInput,
  one: Case,
  after: readonly Block[],
  atDeadline: boolean,
): Promise<Pursued | null> => {
  const { rollout, clock } = input;
  const { store, actor } = rollout;
  const measured = judge({
    before: one.before,
    after,
    affected: one.deployment.rationale.statementIds,
    writes: one.evidence.writeIds,
    control: one.evidence.controlIds,
    table: one.deployment.tableOid,
    alpha: input.settings.alpha,
    margin: input.settings.margin,
    minimumBlocks: input.minimumBlocks,
  });
  if (one.deployment.state === "trying") return lookAtTrial(input, one, measured, after);
  if (!isDecided(measured) && !atDeadline) return null;
  const verdict =
    one.together.length === 0
      ? measured
      : {
          ...measured,
          reason: `${measured.reason}; measured together with ${one.together.join(", ")}, which serve some of the same statements: what each brought is not told apart`,
        };
  await store.decisions.record({
    at: clock.now(),
    subject: "verify",
    deploymentId: one.deployment.id,
    rule: "verification.judge",
    outcome: verdict.outcome,
    code: verdict.outcome,
    reason: verdict.reason,
    inputs: {
      blocksBefore: one.before.length,
      blocksAfter: after.length,
      affected: one.deployment.rationale.statementIds,
      writes: one.evidence.writeIds,
      control: one.evidence.controlIds.length,
      alpha: input.settings.alpha,
      margin: input.settings.margin,
      baseline: [one.evidence.baselineFrom, one.evidence.baselineTo],
      predictedChange: predictedChange(one.deployment.rationale),
      measuredChange: measuredChange(one.deployment.rationale, verdict),
    },
  });
  const step = {
    detail: { outcome: verdict.outcome, change: verdict.change },
    patch: { verdict },
  };
  const elsewhere: Pursued = {
    deployment: one.deployment,
    verdict,
    result: "pending",
    reason: "another process took this deployment up",
  };
  if (verdict.outcome === "better") {
    const kept = await settleIndex(rollout, one.deployment, step);
    switch (kept.kind) {
      case "settled":
        return { deployment: kept.deployment, verdict, result: "kept", reason: verdict.reason };
      case "postponed":
        return { deployment: kept.deployment, verdict, result: "pending", reason: `${verdict.reason}; ${kept.reason}` };
      case "superseded":
        return elsewhere;
    }
  }
  const next = await advance(rollout, one.deployment, "look", { ...step, actor });
  if (next === null) return elsewhere;
  one.deployment = next;
  if (!isDecided(verdict)) return null;
  const dropped = await takeBack({
    ...rollout,
    deployment: next,
    reason: `verdict ${verdict.outcome}: ${verdict.reason}`,
  });
  if (dropped.kind === "dropped") {
    return { deployment: dropped.deployment, verdict, result: "rolled back", reason: verdict.reason };
  }
  const reason = dropped.kind === "interrupted" ? "interrupted" : dropped.reason;
  return { deployment: next, verdict, result: "rollback postponed", reason };
};
